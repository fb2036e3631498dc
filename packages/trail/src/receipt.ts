import { MedleyError, equalBytes, fromBase64, sha256, toHex } from '@medley/kit';
import { isSignature } from '@medley/merkle';
import {
  confirmationBytes,
  decodeReceipt,
  deserializeEvidence,
  judge,
  sessionId,
  setHash,
  verifyReceipt,
  type RoundReceipt,
} from '@medley/secagg';
import {
  kindOfRound,
  readStudy,
  rosterEntries,
  roundTerms,
  type Charter,
  type Study,
} from '@medley/study';
import { Inquiry, type Claim } from './claim.ts';
import type { Entry } from './entry.ts';
import type { EventOf } from './event.ts';

/** Study files known from outside the log, by name of the study. */
export type StudyFiles = Readonly<Record<string, { readonly studyBytes: Uint8Array }>>;

/**
 * Checks every closed round's receipt against the charter's pinned keys: survivors are sharers of the
 * roster, at least max(t, minSurvivors) of them, and at least t of them signed exactly these two sets
 * in this session (Bonawitz et al. 2017, consistency check).
 */
export function checkReceipts(
  entries: readonly Entry[],
  charters: ReadonlyMap<string, Charter>,
): Claim {
  const inquiry = new Inquiry('receipts');
  for (const { index, event } of entries) {
    if (event.type !== 'round.closed') continue;
    inquiry.check(`entry ${index}`, () => {
      const charter = charters.get(event.study);
      if (!charter) return refuse('no signed charter to check the receipt against');
      const receipt = decodeReceipt(event.data.receipt);
      if (toHex(receipt.aggregateHash) !== event.data.aggregateHash) {
        refuse('the receipt is of another aggregate');
      }
      checkSets(charter, receipt);
      checkConfirmations(charter, receipt);
    });
  }
  return inquiry.close('every opened sum was confirmed by enough of its survivors');
}

function checkSets(charter: Charter, { sharers, survivors }: RoundReceipt): void {
  const { threshold, minSurvivors } = charter.secureAggregation;
  if (sharers.some((silo) => silo > charter.roster.length)) refuse('a sharer is not on the roster');
  if (survivors.some((silo) => !sharers.includes(silo))) refuse('a survivor never shared');
  if (survivors.length < Math.max(threshold, minSurvivors)) {
    refuse(`a sum of ${survivors.length} silos was opened`);
  }
}

function checkConfirmations(charter: Charter, receipt: RoundReceipt): void {
  const { sid, survivors, sharers, confirmations } = receipt;
  const keys = new Map(rosterEntries(charter).map((entry) => [entry.index, entry.identityKey]));
  const confirmed = new Set<number>();
  for (const confirmation of confirmations) {
    const { silo, survivorsHash, sharersHash, signature } = confirmation;
    const key = keys.get(silo);
    if (!key || !survivors.includes(silo)) return refuse(`silo ${silo} is no survivor`);
    const sameSets =
      equalBytes(survivorsHash, setHash(sid, survivors)) &&
      equalBytes(sharersHash, setHash(sid, sharers));
    if (!sameSets) refuse(`silo ${silo} confirmed other sets`);
    if (!isSignature(key, confirmationBytes(sid, confirmation), signature)) {
      refuse(`the confirmation of silo ${silo} is not by the key that the charter pins`);
    }
    if (confirmed.has(silo)) refuse(`silo ${silo} confirmed twice`);
    confirmed.add(silo);
  }
  if (confirmed.size < charter.secureAggregation.threshold) {
    refuse(`${confirmed.size} confirmations`);
  }
}

/**
 * Derives every session id anew from charter, study file, round, attempt and model, and checks opened
 * and closed rounds against it, as well as the evidence on which a silo is blamed. Study files come from the log itself (`study.proposed`) or from
 * `files`; rounds of a study whose file is nowhere are not checked, and the claim says so.
 */
export function checkSessions(
  entries: readonly Entry[],
  charters: ReadonlyMap<string, Charter>,
  files: StudyFiles,
): Claim {
  const inquiry = new Inquiry('sessions');
  const studies = new Map<string, Study>();
  for (const [name, charter] of charters) {
    const bytes = fileOf(entries, name, charter, files);
    const study =
      bytes && inquiry.check(`study ${name}`, () => readStudy(bytes, `${name}/study.yaml`));
    if (study) studies.set(name, study);
  }
  let unknown = 0;
  const starts = new Map<string, string>();
  for (const { index, event } of entries) {
    if (event.type === 'round.opened') starts.set(attemptOf(event), event.data.modelHash);
    const isChecked =
      event.type === 'round.opened' ||
      event.type === 'round.closed' ||
      (event.type === 'round.blamed' && event.data.evidence !== undefined);
    if (!isChecked) continue;
    const charter = charters.get(event.study);
    const study = studies.get(event.study);
    if (!charter || !study) unknown++;
    else if (event.type === 'round.blamed') {
      const modelHash = starts.get(attemptOf(event));
      inquiry.check(`entry ${index}`, () => checkBlame(charter, study, event, modelHash));
    } else inquiry.check(`entry ${index}`, () => checkSession(charter, study, event));
  }
  const rest = unknown === 0 ? '' : `; ${unknown} entries left out, their study file is not known`;
  return inquiry.close(`session ids follow from the signed documents${rest}`);
}

function checkSession(
  charter: Charter,
  study: Study,
  event: EventOf<'round.opened' | 'round.closed'>,
): void {
  const { round, attempt } = event;
  const kind = kindOfRound(study, round);
  if (!kind || kind !== event.data.kind) return refuse('the study has no such round');
  const { modelHash } = event.data;
  const terms = roundTerms({ charter, study, kind, round, attempt, modelHash });
  if (event.type === 'round.closed') {
    verifyReceipt(terms, decodeReceipt(event.data.receipt));
  } else if (event.data.sid !== toHex(sessionId(terms))) {
    refuse('another session than the signed documents make');
  }
}

function attemptOf({ study, round, attempt }: EventOf<'round.opened' | 'round.blamed'>): string {
  return `${study} ${round} ${attempt}`;
}

/** The evidence must convict the silo that the entry names, in the very attempt. */
function checkBlame(
  charter: Charter,
  study: Study,
  { round, attempt, data }: EventOf<'round.blamed'>,
  modelHash: string | undefined,
): void {
  const kind = kindOfRound(study, round);
  if (!kind || modelHash === undefined) return refuse('blame in a round that was not opened');
  const bytes = fromBase64(data.evidence ?? '');
  if (!bytes) return refuse('the evidence is not base64');
  const terms = roundTerms({ charter, study, kind, round, attempt, modelHash });
  const evidence = deserializeEvidence(bytes);
  const accused = charter.roster[evidence.complaint.about - 1]?.silo;
  if (accused !== data.silo) refuse('the evidence is about another silo');
  judge({ terms, sid: sessionId(terms) }, evidence);
}

/** The study file whose hash the charter signed, wherever it is. */
function fileOf(
  entries: readonly Entry[],
  name: string,
  charter: Charter,
  files: StudyFiles,
): Uint8Array | undefined {
  const candidates = entries.flatMap(({ event }) => {
    const written = event.type === 'study.proposed' && event.study === name && event.data.studyFile;
    const bytes = written ? fromBase64(written) : undefined;
    return bytes ? [bytes] : [];
  });
  if (Object.hasOwn(files, name)) candidates.push(files[name]!.studyBytes);
  return candidates.find((bytes) => toHex(sha256(bytes)) === charter.files.study);
}

function refuse(what: string): never {
  throw new MedleyError('TRAIL_EVENT_INVALID', what);
}
