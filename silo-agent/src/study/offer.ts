import { buildTraining, inspectModel, type ModelReport } from '@medley/autodiff';
import { concatBytes, equalBytes, fromHex, MedleyError } from '@medley/kit';
import type { CharterSignature__Output, Client, RoundsMethods } from '@medley/rpc';
import {
  charterHash,
  checkCharter,
  clippingOf,
  checkFloors,
  checkModelFit,
  readCharter,
  readStudy,
  rosterEntries,
  type Charter,
  type Floors,
  type Study,
} from '@medley/study';

/** This hospital as charters name it. */
export interface SiteIdentity {
  readonly consortium: string;
  readonly silo: string;
  /** Raw Ed25519 public key. */
  readonly publicKey: Uint8Array;
}

/** Documents of a study, checked against each other. */
export interface StudyDocuments {
  readonly study: Study;
  readonly studyBytes: Uint8Array;
  readonly charter: Charter;
  readonly charterBytes: Uint8Array;
  readonly charterHash: string;
  readonly model: Uint8Array;
  readonly report: ModelReport;
  /** This hospital's index in the roster. */
  readonly me: number;
}

/** A study as the aggregator offers it. */
export interface StudyOffer extends StudyDocuments {
  readonly state: string;
  readonly signatures: readonly CharterSignature__Output[];
}

/**
 * Fetches a study and checks that its documents agree ({@link checkDocuments}). Throws what the
 * aggregator refuses with, RPC_*, and every code of {@link checkDocuments}.
 */
export async function fetchOffer(
  client: Client<RoundsMethods>,
  id: string,
  site: SiteIdentity,
  signal: AbortSignal,
): Promise<StudyOffer> {
  const reply = await client.getStudy({ study: id }, { signal });
  const { charter, studyFile } = reply;
  // A large model does not fit into a message; the charter names the blob.
  const model = reply.model.length > 0 ? reply.model : await fetchModel(client, charter, signal);
  const documents = checkDocuments(studyFile, charter, model, site);
  if (documents.study.name !== id) {
    throw new MedleyError('CHARTER_MISMATCH', `asked for ${id}, got ${documents.study.name}`);
  }
  return { ...documents, state: reply.state, signatures: reply.signatures };
}

/** Largest model file that this agent takes. */
const MAX_MODEL_BYTES = 512 * 1024 * 1024;

async function fetchModel(
  client: Client<RoundsMethods>,
  charterBytes: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const sha256 = fromHex(readCharter(charterBytes).files.model) ?? new Uint8Array();
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const { data } of client.fetchBlob({ sha256 }, { signal })) {
    sizeBytes += data.length;
    if (sizeBytes > MAX_MODEL_BYTES)
      throw new MedleyError('MODEL_TOO_LARGE', `over ${String(MAX_MODEL_BYTES)} bytes`);
    pieces.push(data);
  }
  // Its hash is compared with the charter's by checkDocuments.
  return concatBytes(...pieces);
}

/**
 * Reads the three documents and checks everything that can be checked without trusting whoever sent
 * them: the charter's hashes and numbers are those of the files, the model can be trained on the
 * study's columns with operators this agent knows and has as many parameters as the charter says, and
 * the roster names this hospital with its own key.
 *
 * Throws STUDY_FILE_INVALID, CHARTER_*, MODEL_*, STUDY_OUTSIDER.
 */
export function checkDocuments(
  studyBytes: Uint8Array,
  charterBytes: Uint8Array,
  model: Uint8Array,
  site: SiteIdentity,
): StudyDocuments {
  const study = readStudy(studyBytes, 'study.yaml');
  const charter = readCharter(charterBytes);
  const report = inspectModel(model);
  const { loss, optimizer } = study.training;
  const privacy = clippingOf(charter.privacy);
  const { manifest } = buildTraining(model, {
    ...{ loss, optimizer, output: study.model.output },
    ...(privacy && { privacy }),
  });
  checkModelFit(study, manifest);
  checkCharter(charter, study, studyBytes, model, { modelParameters: report.parameterCount });
  const me = rosterEntries(charter).find(({ silo }) => silo === site.silo);
  if (
    charter.consortium !== site.consortium ||
    !me ||
    !equalBytes(me.identityKey, site.publicKey)
  ) {
    throw new MedleyError('STUDY_OUTSIDER', `charter of ${study.name}, silo ${site.silo}`);
  }
  return {
    study,
    studyBytes: new Uint8Array(studyBytes),
    charter,
    charterBytes: new Uint8Array(charterBytes),
    charterHash: charterHash(charter),
    model: new Uint8Array(model),
    report,
    me: me.index,
  };
}

/** Whether a charter keeps this hospital's own limits now. Throws CHARTER_FLOOR_TOO_WEAK, CHARTER_ROSTER_INVALID, CHARTER_EXPIRED. */
export function checkPolicy(charter: Charter, policy: Floors, nowMs: number): void {
  checkFloors(charter, policy);
  if (nowMs > Date.parse(charter.expires)) {
    throw new MedleyError(
      'CHARTER_EXPIRED',
      `study ${charter.study} expired at ${charter.expires}`,
    );
  }
}
