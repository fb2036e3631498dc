import { canonicalBytes, MedleyError, type Clock } from '@medley/kit';
import type { CharterSignature } from '@medley/rpc';
import type { Connection } from '../connection.ts';
import type { AgentHome } from '../home.ts';
import { StudyFolder, type PinnedStudy } from './folder.ts';
import type { StudyDocuments } from './offer.ts';
import { signDecision, type SignedDecision } from './signature.ts';

/** A steward's word on an offered study. */
export interface Verdict {
  readonly documents: StudyDocuments;
  readonly steward: string;
  /** Why not; absent for an approval. */
  readonly reason?: string;
}

/** What came of a decision. */
export interface Decided {
  readonly decision: SignedDecision['decision'];
  /** Approvals so far; undefined after a refusal. */
  readonly signed?: number;
  readonly rosterSize: number;
}

/**
 * Signs the decision with this hospital's identity, pins the documents with it, then tells the
 * aggregator. If telling fails, deciding the same again sends the same signature. Throws
 * STUDY_CHANGED when another charter of that name was decided on before, DECISION_INVALID, RPC_* and
 * what the aggregator refuses with.
 */
export async function decide(
  home: AgentHome,
  connection: Connection,
  { documents, steward, reason }: Verdict,
  clock: Clock,
  signal: AbortSignal,
): Promise<Decided> {
  const { site, keys, client } = connection;
  const { charter, study } = documents;
  const folder = new StudyFolder(home.paths, study.name, site);
  checkUnchanged(await folder.read(), documents);
  const signed = signDecision(
    {
      charter,
      decision: reason === undefined ? 'approve' : 'refuse',
      silo: site.silo,
      steward,
      atMs: clock.nowMs(),
      ...(reason === undefined ? {} : { reason }),
    },
    keys.identity,
  );
  await folder.pin(documents, signed);
  const signature: CharterSignature = {
    silo: site.silo,
    statement: canonicalBytes(signed.decision),
    signature: signed.signature,
  };
  const rosterSize = charter.roster.length;
  if (reason !== undefined) {
    await client.refuseCharter({ study: study.name, refusal: signature }, { signal });
    return { decision: signed.decision, rosterSize };
  }
  const reply = await client.signCharter({ study: study.name, signature }, { signal });
  return { decision: signed.decision, signed: reply.signed, rosterSize };
}

function checkUnchanged(earlier: PinnedStudy | undefined, documents: StudyDocuments): void {
  if (earlier && earlier.charterHash !== documents.charterHash) {
    throw new MedleyError(
      'STUDY_CHANGED',
      `decided on ${earlier.charterHash}, offered ${documents.charterHash}`,
    );
  }
}
