import {
  MedleyError,
  timestamp,
  uniformReal,
  type Clock,
  type Logger,
  type Rng,
} from '@medley/kit';
import { leafOf, readCertificate, renewalDueMs, type Certificate } from '@medley/pki';
import type { AgentHome } from '../home.ts';
import { openMembership } from './record.ts';
import { renewCertificate } from './renewal.ts';

export interface RenewalParts {
  readonly home: AgentHome;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
}

/** Longest nap, so that a clock that was set is noticed. */
const NAP_MS = 3_600_000;
const MIN_RETRY_MS = 5_000;

/**
 * Renews the certificate whenever it is due, a little later by chance so that hospitals which enrolled
 * together do not come together, until `stop` aborts. A failure is logged and tried again after a
 * tenth of what is left, at most an hour. `onRenewed` is told when the files are in place.
 */
export async function keepRenewed(
  parts: RenewalParts,
  onRenewed: () => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  const { clock, rng } = parts;
  while (!stop.aborted) {
    const now = await presentCertificate(parts.home);
    const dueMs = renewalDueMs(now);
    const spreadMs = (uniformReal(rng) * (now.notAfterMs - dueMs)) / 10;
    if (!(await napUntil(dueMs + spreadMs, clock, stop))) return;
    if (await renewed(parts, stop)) await onRenewed();
    else await nap(retryMs(now, clock.nowMs()), clock, stop);
  }
}

/** Renews once if that is due, as at the start of an agent that was off. Never throws. */
export async function renewIfDue(parts: RenewalParts, stop: AbortSignal): Promise<void> {
  const isDue = parts.clock.nowMs() >= renewalDueMs(await presentCertificate(parts.home));
  if (isDue) await renewed(parts, stop);
}

async function renewed({ home, clock, logger }: RenewalParts, stop: AbortSignal): Promise<boolean> {
  try {
    const { notAfterMs, serial } = await renewCertificate(home, clock, stop);
    logger.info('certificate renewed', { detail: `${serial} until ${timestamp(notAfterMs)}` });
    return true;
  } catch (caught) {
    if (isAborted(stop)) return false;
    const { code, message } = MedleyError.from(caught);
    logger.warn('certificate not renewed', { code, detail: message });
    return false;
  }
}

async function presentCertificate(home: AgentHome): Promise<Certificate> {
  return readCertificate(leafOf((await openMembership(home.paths)).certPem));
}

function retryMs({ notAfterMs }: Certificate, nowMs: number): number {
  return Math.min(NAP_MS, Math.max(MIN_RETRY_MS, Math.abs(notAfterMs - nowMs) / 10));
}

/** False when `stop` aborted first. */
async function napUntil(dueMs: number, clock: Clock, stop: AbortSignal): Promise<boolean> {
  while (!isAborted(stop) && clock.nowMs() < dueMs) {
    await nap(Math.min(NAP_MS, dueMs - clock.nowMs()), clock, stop);
  }
  return !isAborted(stop);
}

async function nap(ms: number, clock: Clock, stop: AbortSignal): Promise<void> {
  await clock.sleep(ms, stop).catch(() => undefined);
}

/** A call, because the compiler takes a signal that was open for one that stays open. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
