import { MedleyError, canonicalBytes, concatBytes, fromBase64, utf8 } from '@medley/kit';
import { isSignature } from '@medley/merkle';
import {
  charterHash,
  checkDecision,
  readCharter,
  readDecision,
  rosterEntries,
  type Charter,
} from '@medley/study';
import { Inquiry, type Claim } from './claim.ts';
import type { EventOf } from './event.ts';
import type { Entry } from './entry.ts';

/**
 * Checks that every study that started had its very charter approved by every hospital of the roster,
 * each by the identity key that the charter pins, and that no hospital's last word was a refusal.
 * Also returns the charters by study, signed or not, that are sound in themselves.
 */
export function checkCharters(
  entries: readonly Entry[],
  verifierKey: string,
): { readonly claim: Claim; readonly charters: ReadonlyMap<string, Charter> } {
  const inquiry = new Inquiry('charters');
  const charters = new Map<string, Charter>();
  for (const { index, event } of entries) {
    if (event.type !== 'study.started') continue;
    const charter = inquiry.check(`entry ${index}`, () => {
      if (charters.has(event.study)) refuse(`study ${event.study} started twice`);
      return openCharter(event, verifierKey);
    });
    if (!charter) continue;
    charters.set(event.study, charter);
    const words = lastWords(entries, index, event);
    for (const { silo, identityKey } of rosterEntries(charter)) {
      inquiry.check(`entry ${index}: ${silo}`, () => {
        checkApproval(charter, silo, identityKey, words.get(silo));
      });
    }
  }
  return { claim: inquiry.close('every started study is signed by its whole roster'), charters };
}

function openCharter(event: EventOf<'study.started'>, verifierKey: string): Charter {
  const charter = readCharter(canonicalBytes(event.data.charter));
  if (charterHash(charter) !== event.data.charterHash) refuse('another charter than its hash says');
  if (charter.study !== event.study) refuse('the charter is of another study');
  if (charter.consortium !== event.consortium) refuse('the charter is of another consortium');
  if (charter.log.verifierKey !== verifierKey) refuse('the hospitals signed for another log');
  return charter;
}

/** Each silo's newest decision on this charter before the start. */
function lastWords(
  entries: readonly Entry[],
  before: number,
  started: EventOf<'study.started'>,
): ReadonlyMap<string, EventOf<'charter.signed' | 'charter.refused'>> {
  const words = new Map<string, EventOf<'charter.signed' | 'charter.refused'>>();
  for (const { index, event } of entries) {
    if (index >= before) break;
    if (event.type !== 'charter.signed' && event.type !== 'charter.refused') continue;
    if (event.study !== started.study) continue;
    if (event.data.charterHash !== started.data.charterHash) continue;
    words.set(event.data.silo, event);
  }
  return words;
}

function checkApproval(
  charter: Charter,
  silo: string,
  identityKey: Uint8Array,
  event: EventOf<'charter.signed' | 'charter.refused'> | undefined,
): void {
  if (event?.type !== 'charter.signed') refuse('its last word before the start is no approval');
  const statement = fromBase64(event.data.statement);
  const signature = fromBase64(event.data.signature);
  if (!statement || !signature) refuse('statement or signature is not base64');
  const decision = readDecision(statement);
  checkDecision(decision, charter);
  if (decision.decision !== 'approve' || decision.silo !== silo) {
    refuse('the statement is not this approval');
  }
  // The same bytes as `statementBytes('charter', …)` of @medley/pki, written out again on purpose.
  const signed = concatBytes(utf8('medley/charter/v1\n'), statement);
  if (!isSignature(identityKey, signed, signature)) {
    refuse('the signature is not by the key that the charter pins');
  }
}

function refuse(what: string): never {
  throw new MedleyError('TRAIL_EVENT_INVALID', what);
}
