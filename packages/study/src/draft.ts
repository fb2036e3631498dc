import {
  MedleyError,
  canonicalBytes,
  checkSchema,
  documentHash,
  equalBytes,
  sha256,
  timestamp,
  toBase64,
  toHex,
} from '@medley/kit';
import { defaultThreshold } from '@medley/secagg';
import { rosterEntries, type Charter } from './charter.ts';
import { CHARTER_SCHEMA } from './charterSchema.ts';
import { draftPrivacy } from './privacyTerms.ts';
import type { PrivacyTerms } from './privacy.ts';
import { checkFloors, checkInvariants, type Floors } from './floors.ts';
import type { Study } from './study.ts';

/** What a charter is drafted from. */
export interface CharterDraft {
  readonly consortium: string;
  readonly study: Study;
  readonly studyBytes: Uint8Array;
  readonly modelBytes: Uint8Array;
  readonly modelParameters: number;
  readonly roster: readonly { readonly silo: string; readonly identityKey: Uint8Array }[];
  readonly log: Charter['log'];
  readonly nowMs: number;
  readonly floors: Floors;
  /** Privacy whose noise is known already, as in a signed charter; else it is calibrated. */
  readonly privacy?: PrivacyTerms;
}

/** A charter of 200 silos is about 30 kB, so that it fits into one leaf of the log. */
const MAX_CHARTER_BYTES = 60_000;

/**
 * The charter that a study file, a model and a roster make; roster indices follow the given order.
 * Threshold defaults to ⌊2n/3⌋ + 1, minSurvivors to max(3, threshold). Throws CHARTER_ROSTER_INVALID,
 * CHARTER_FLOOR_TOO_WEAK, CHARTER_OVERFLOW, CHARTER_PRIVACY_COST, CHARTER_PRIVACY_NOISE,
 * PRIVACY_TARGET_OUT_OF_REACH or CHARTER_EXPIRED.
 */
export function draftCharter(draft: CharterDraft): Charter {
  const { study, roster } = draft;
  const wanted = study.secureAggregation;
  const threshold = wanted.threshold ?? defaultThreshold(roster.length);
  const open: Charter = {
    medley: 'charter/v1',
    consortium: draft.consortium,
    study: study.name,
    version: 1,
    title: study.title,
    files: { study: toHex(sha256(draft.studyBytes)), model: toHex(sha256(draft.modelBytes)) },
    roster: roster.map((member, i) => ({
      index: i + 1,
      silo: member.silo,
      identityKey: toBase64(member.identityKey),
    })),
    secureAggregation: {
      suite: 1,
      protocolVersion: 2,
      ringBits: wanted.ringBits,
      rotation: wanted.rotation,
      threshold,
      minSurvivors: wanted.minSurvivors ?? Math.max(3, threshold),
      maxAttempts: study.rounds.maxAttempts,
      bits: wanted.bits,
      weightCap: wanted.weightCap,
    },
    clipping: { normL2: study.clipping.normL2, coordinate: study.clipping.coordinate },
    rounds: {
      count: study.rounds.count,
      stepSeconds: study.rounds.stepSeconds,
      trainingSeconds: study.rounds.trainingSeconds,
    },
    cohort: { minPatients: study.cohort.minPatients },
    modelParameters: draft.modelParameters,
    log: { origin: draft.log.origin, verifierKey: draft.log.verifierKey },
    created: timestamp(draft.nowMs),
    expires: study.expires,
  };
  const privacy = draftPrivacy(study, open, draft.privacy);
  const charter: Charter = privacy ? { ...open, privacy } : open;
  checkInvariants(charter);
  checkFloors(charter, draft.floors);
  // Whatever was passed in, nobody is asked to sign what silos would refuse to read.
  return readCharter(canonicalBytes(charter));
}

/**
 * Reads a charter's canonical bytes, strictly: schema, canonical form and every safety invariant.
 * Throws CHARTER_INVALID, CHARTER_ROSTER_INVALID, CHARTER_FLOOR_TOO_WEAK, CHARTER_OVERFLOW or
 * CHARTER_EXPIRED (it expires before it was made).
 */
export function readCharter(bytes: Uint8Array): Charter {
  if (bytes.length > MAX_CHARTER_BYTES) {
    throw new MedleyError('CHARTER_INVALID', `a charter has at most ${MAX_CHARTER_BYTES} bytes`);
  }
  let value: unknown;
  let canonical: Uint8Array;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    canonical = canonicalBytes(value);
  } catch (cause) {
    throw new MedleyError('CHARTER_INVALID', 'a charter is canonical JSON', { cause });
  }
  checkSchema(value, CHARTER_SCHEMA, 'CHARTER_INVALID');
  if (!equalBytes(canonical, bytes)) {
    throw new MedleyError('CHARTER_INVALID', 'a charter is canonical JSON');
  }
  const charter = value as Charter;
  checkInvariants(charter);
  return charter;
}

/** The silo's own view of what a charter is about. */
export interface CharterFiles {
  /** Trainable parameters that this side counted in the model. */
  readonly modelParameters?: number;
}

/**
 * The agent's own check that a charter says what the files say, before anyone is asked to sign.
 * Throws CHARTER_MISMATCH naming the field.
 */
export function checkCharter(
  charter: Charter,
  study: Study,
  studyBytes: Uint8Array,
  modelBytes: Uint8Array,
  counted: CharterFiles = {},
): void {
  const expected = draftOf(charter, study, studyBytes, modelBytes);
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['files.study', charter.files.study, expected.files.study],
    ['files.model', charter.files.model, expected.files.model],
    ['study', charter.study, study.name],
    ['title', charter.title, study.title],
    ['expires', charter.expires, study.expires],
    ['secureAggregation', charter.secureAggregation, expected.secureAggregation],
    ['clipping', charter.clipping, expected.clipping],
    ['rounds', charter.rounds, expected.rounds],
    ['cohort', charter.cohort, expected.cohort],
    ['privacy', charter.privacy ?? null, expected.privacy ?? null],
    [
      'modelParameters',
      charter.modelParameters,
      counted.modelParameters ?? charter.modelParameters,
    ],
  ];
  for (const [field, said, meant] of pairs) {
    if (documentHash(said) !== documentHash(meant)) {
      throw new MedleyError('CHARTER_MISMATCH', `${field} differs from the study's files`);
    }
  }
}

function draftOf(
  charter: Charter,
  study: Study,
  studyBytes: Uint8Array,
  modelBytes: Uint8Array,
): Charter {
  return draftCharter({
    consortium: charter.consortium,
    study,
    studyBytes,
    modelBytes,
    modelParameters: charter.modelParameters,
    roster: rosterEntries(charter),
    log: charter.log,
    nowMs: Date.parse(charter.created),
    floors: { minSilos: 3, minSurvivors: 3, minPatients: 1 },
    ...(charter.privacy && { privacy: charter.privacy }),
  });
}
