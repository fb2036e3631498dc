import { canonicalBytes, MedleyError, type Clock } from '@medley/kit';
import type { CharterSignature } from '@medley/rpc';
import type { Decision } from '@medley/study';
import type { Connection } from '../connection.ts';
import type { AgentHome } from '../home.ts';
import { StudyFolder, type PinnedStudy } from './folder.ts';
import type { StudyOffer } from './offer.ts';
import { signDecision, type SignedDecision } from './signature.ts';

/** A steward's word on an offered study. */
export interface Verdict {
  readonly documents: StudyOffer;
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
 * STUDY_CHANGED when another charter of that name was decided on before, STUDY_STATE when the study
 * is past deciding (then the earlier decision stays), DECISION_INVALID, RPC_* and what the aggregator
 * refuses with.
 */
export async function decide(
  home: AgentHome,
  connection: Connection,
  verdict: Verdict,
  clock: Clock,
  signal: AbortSignal,
): Promise<Decided> {
  const { site, keys, client } = connection;
  const { documents, steward, reason } = verdict;
  const { charter, study, state } = documents;
  const folder = new StudyFolder(home.paths, study.name, site);
  const earlier = await folder.read();
  checkUnchanged(earlier, documents);
  let signed: SignedDecision | undefined = earlier;
  if (!signed || !isSame(signed.decision, verdict)) {
    if (state !== 'proposed') {
      throw new MedleyError(
        'STUDY_STATE',
        `${study.name} is ${state} and hears no decision; leave it with medley-agent study withdraw`,
      );
    }
    const decision = reason === undefined ? 'approve' : 'refuse';
    const draft = { charter, decision, silo: site.silo, steward, atMs: clock.nowMs() } as const;
    signed = signDecision(reason === undefined ? draft : { ...draft, reason }, keys.identity);
    await folder.pin(documents, signed);
  }
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

/**
 * Leaves a study that has started, for good. The agent sends nothing more from the moment that the
 * withdrawal is on disk, before anybody is told; if telling fails, leaving again tells again. Throws
 * STUDY_NOT_SIGNED for a study that was never approved here, STUDY_CHANGED, RPC_* and what the
 * aggregator refuses with.
 */
export async function leave(
  home: AgentHome,
  { site, keys, client }: Connection,
  verdict: { readonly study: string; readonly steward: string; readonly reason: string },
  clock: Clock,
  signal: AbortSignal,
): Promise<Decision> {
  const { study, steward, reason } = verdict;
  const folder = new StudyFolder(home.paths, study, site);
  let signed = await folder.withdrawal();
  if (!signed) {
    const { charter } = await folder.approved();
    const draft = { charter, decision: 'withdraw', silo: site.silo, steward, reason } as const;
    signed = signDecision({ ...draft, atMs: clock.nowMs() }, keys.identity);
    await folder.leave(signed);
  }
  const { decision, signature } = signed;
  const withdrawal = { silo: site.silo, statement: canonicalBytes(decision), signature };
  await client.leaveStudy({ study, withdrawal }, { signal });
  return decision;
}

function isSame(decision: Decision, { steward, reason }: Verdict): boolean {
  return decision.steward === steward && decision.reason === reason;
}

function checkUnchanged(earlier: PinnedStudy | undefined, documents: StudyOffer): void {
  if (earlier && earlier.charterHash !== documents.charterHash) {
    throw new MedleyError(
      'STUDY_CHANGED',
      `decided on ${earlier.charterHash}, offered ${documents.charterHash}`,
    );
  }
}
