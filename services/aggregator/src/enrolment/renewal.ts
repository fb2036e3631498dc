import {
  equalBytes,
  MedleyError,
  sha256,
  timestamp,
  toHex,
  type Clock,
  type Rng,
} from '@medley/kit';
import { issueCertificate, verifyRenewal, type Authority, type SignedRenewal } from '@medley/pki';
import type { Ledger } from '../log/ledger.ts';
import type { CertificateRow } from '../store/rows.ts';
import type { Tables } from '../store/store.ts';

/** How certificates are renewed. */
export interface RenewalTerms {
  /** Life of a renewed certificate. */
  readonly days: number;
  /** How long the certificate before it is still honoured, so that open calls end by themselves. */
  readonly overlapMs: number;
}

export interface RenewalParts {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly consortium: string;
  /** The renewal authority as it is now; undefined where there is none. */
  readonly renewals: () => Promise<Authority | undefined>;
  readonly terms: RenewalTerms;
}

/** Between two renewals of one silo: a broken agent must not fill the log. */
const MIN_PAUSE_MS = 60_000;

/** Renews certificates of enrolled silos, signed for by their identity keys. */
export class RenewalDesk {
  readonly #parts: RenewalParts;

  constructor(parts: RenewalParts) {
    this.#parts = parts;
  }

  /**
   * The silo's next certificate with the renewal authority's behind it, PEM. The same signed renewal
   * again gives the same certificate.
   *
   * Throws as `verifyRenewal` does; RENEWAL_REFUSED, the same for a silo that is not enrolled, another
   * identity key and an unknown certificate; RENEWAL_UNAVAILABLE, RENEWAL_EARLY.
   */
  async renew(request: SignedRenewal): Promise<string> {
    const { ledger, clock, consortium, terms } = this.#parts;
    const csr = verifyRenewal(request);
    const renewals = await this.#parts.renewals();
    const requestHash = toHex(sha256(request.signature));
    return ledger.change(async ({ tables, record }) => {
      const nowMs = clock.nowMs();
      const silo = await tables.silos.get(request.silo);
      const isOwn =
        csr.consortium === consortium &&
        silo?.state === 'enrolled' &&
        equalBytes(silo.identityKey ?? new Uint8Array(), request.identityKey);
      const after = isOwn ? await tables.certificates.get(request.after) : undefined;
      if (!isOwn || after?.silo !== silo.name || after.revokedMs !== undefined) {
        throw new MedleyError('RENEWAL_REFUSED', `renewal of ${request.silo}`);
      }
      const same = await tables.certificates.ofRequest(requestHash);
      if (same) return same.chainPem;
      if (!renewals) throw new MedleyError('RENEWAL_UNAVAILABLE', 'no renewal authority in force');
      await checkPause(tables, silo.name, nowMs);
      const row = this.#issue(request, renewals, requestHash, nowMs);
      await supersede(tables, silo.name, nowMs + terms.overlapMs);
      await tables.certificates.put(row);
      const { serial, untilMs } = row;
      await tables.silos.put({ ...silo, certificateSerial: serial, certificateExpiresMs: untilMs });
      await record({
        type: 'silo.renewed',
        actor: { kind: 'silo', id: silo.name },
        outcome: 'ok',
        data: {
          silo: silo.name,
          certificateSerial: serial,
          previousSerial: request.after,
          expires: timestamp(untilMs),
        },
      });
      return row.chainPem;
    });
  }

  #issue(
    { silo, csrPem }: SignedRenewal,
    authority: Authority,
    requestHash: string,
    nowMs: number,
  ): CertificateRow {
    const { consortium, rng, terms } = this.#parts;
    const subject = { consortium, role: 'silo', name: silo } as const;
    const issued = issueCertificate({ authority, csrPem, subject, nowMs, days: terms.days, rng });
    return {
      serial: issued.serial,
      silo,
      issuer: 'renewals',
      issuedMs: nowMs,
      untilMs: issued.notAfterMs,
      chainPem: issued.certificatePem + authority.certificatePem,
      requestHash,
      revokedMs: undefined,
      reason: undefined,
    };
  }
}

async function checkPause(tables: Tables, silo: string, nowMs: number): Promise<void> {
  const renewed = (await tables.certificates.of(silo)).filter(
    ({ issuer }) => issuer === 'renewals',
  );
  const pauseMs = nowMs - (renewed.at(-1)?.issuedMs ?? 0);
  if (pauseMs >= 0 && pauseMs < MIN_PAUSE_MS) {
    throw new MedleyError('RENEWAL_EARLY', `${silo} renewed ${String(pauseMs)} ms ago`);
  }
}

/** Certificates in force end no later than `untilMs`. */
async function supersede(tables: Tables, silo: string, untilMs: number): Promise<void> {
  for (const row of await tables.certificates.of(silo)) {
    if (row.untilMs > untilMs) await tables.certificates.put({ ...row, untilMs });
  }
}
