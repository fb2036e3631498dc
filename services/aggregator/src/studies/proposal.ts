import { canonicalBytes, MedleyError, sha256, toBase64, toHex, type Clock } from '@medley/kit';
import { buildTraining, initialParameters } from '@medley/autodiff';
import {
  charterHash,
  checkModelFit,
  clippingOfPlan,
  draftCharter,
  encodeModelState,
  readStudy,
  type Charter,
  type Floors,
  type Study,
} from '@medley/study';
import type { Blobs } from '../blob/blobs.ts';
import type { Ledger } from '../log/ledger.ts';
import type { SiloRow, StudyRow } from '../store/rows.ts';
import type { Store, Tables } from '../store/store.ts';
import type { Agreements } from './agreement.ts';

export interface ProposalParts {
  readonly store: Store;
  readonly blobs: Blobs;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly agreements: Agreements;
  readonly consortium: string;
  readonly floors: Floors;
}

/** A study as an operator hands it in. */
export interface Proposal {
  /** Exact bytes of study.yaml. */
  readonly studyFile: Uint8Array;
  /** Exact bytes of the ONNX model. */
  readonly model: Uint8Array;
  /** Roster in order; all enrolled silos by name when empty. */
  readonly silos: readonly string[];
}

/** Study files larger than this are not part of their log entry (base64, with room for the rest). */
const MAX_LOGGED_STUDY_BYTES = 44_000;

/**
 * Reads study and model, drafts the charter and stores the study as `proposed`. The same files for
 * the same roster again give the study that is there.
 *
 * Throws STUDY_FILE_INVALID, MODEL_* (unreadable, not trainable, not fit for the study),
 * STUDY_ROSTER, CHARTER_* (floors, roster, overflow, expiry) and STUDY_EXISTS.
 */
export async function proposeStudy(
  parts: ProposalParts,
  proposal: Proposal,
  operator: string,
): Promise<StudyRow> {
  const study = readStudy(proposal.studyFile, 'study.yaml');
  const modelParameters = checkModel(proposal.model, study);
  const model = await parts.blobs.write(proposal.model);
  const parameters = initialParameters(proposal.model);
  const modelState = await parts.blobs.write(
    encodeModelState({ parameters, standardisation: null }),
  );
  return parts.ledger.change(async ({ tables, record }) => {
    const roster = await rosterOf(tables, proposal.silos);
    const earlier = await tables.studies.get(study.name);
    if (earlier) {
      if (isSame(parts.agreements.of(earlier).charter, proposal, roster)) return earlier;
      throw new MedleyError('STUDY_EXISTS', `study ${study.name} is ${earlier.state}`);
    }
    const nowMs = parts.clock.nowMs();
    const charter = draftCharter({
      consortium: parts.consortium,
      study,
      studyBytes: proposal.studyFile,
      modelBytes: proposal.model,
      modelParameters,
      roster,
      log: parts.ledger.identity,
      nowMs,
      floors: parts.floors,
    });
    const row: StudyRow = {
      name: study.name,
      title: study.title,
      state: 'proposed',
      charterHash: charterHash(charter),
      charter: canonicalBytes(charter),
      studyFile: proposal.studyFile,
      model,
      modelState,
      createdMs: nowMs,
      startedMs: undefined,
      endedMs: undefined,
      pausedMs: undefined,
      reason: undefined,
    };
    await tables.studies.put(row);
    const isLogged = proposal.studyFile.length <= MAX_LOGGED_STUDY_BYTES;
    await record({
      type: 'study.proposed',
      actor: { kind: 'operator', id: operator },
      outcome: 'ok',
      study: study.name,
      data: {
        charterHash: row.charterHash,
        files: charter.files,
        ...(isLogged && { studyFile: toBase64(proposal.studyFile) }),
      },
    });
    return row;
  });
}

/**
 * Number of parameters of a model that can be trained and is of the study's columns. Building the
 * training finds every operator in the way at once, and the output's shape as it is inferred.
 */
function checkModel(bytes: Uint8Array, study: Study): number {
  const { loss, optimizer } = study.training;
  const privacy = clippingOfPlan(study);
  const { manifest } = buildTraining(bytes, {
    ...{ loss, optimizer, output: study.model.output },
    ...(privacy && { privacy }),
  });
  checkModelFit(study, manifest);
  return manifest.parameterCount;
}

async function rosterOf(
  tables: Tables,
  names: readonly string[],
): Promise<{ readonly silo: string; readonly identityKey: Uint8Array }[]> {
  const silos = await tables.silos.list();
  const enrolled = silos.filter(isEnrolled);
  if (names.length === 0) {
    return enrolled.map(({ name, identityKey }) => ({ silo: name, identityKey }));
  }
  return names.map((name) => {
    const silo = enrolled.find((one) => one.name === name);
    if (!silo) throw new MedleyError('STUDY_ROSTER', `silo ${name.slice(0, 64)} is not enrolled`);
    return { silo: silo.name, identityKey: silo.identityKey };
  });
}

function isEnrolled(silo: SiloRow): silo is SiloRow & { readonly identityKey: Uint8Array } {
  return silo.state === 'enrolled' && silo.identityKey !== undefined;
}

function isSame(
  charter: Charter,
  proposal: Proposal,
  roster: readonly { readonly silo: string; readonly identityKey: Uint8Array }[],
): boolean {
  const written = roster.map(({ silo, identityKey }) => `${silo} ${toBase64(identityKey)}`);
  const signed = charter.roster.map(({ silo, identityKey }) => `${silo} ${identityKey}`);
  return (
    charter.files.study === toHex(sha256(proposal.studyFile)) &&
    charter.files.model === toHex(sha256(proposal.model)) &&
    written.join() === signed.join()
  );
}
