import type { Clock, Logger, Rng } from '@medley/kit';
import type { Identity } from '@medley/pki';
import type { Masker } from '@medley/secagg';
import type { BudgetLedger } from '../budget/ledger.ts';
import type { AgentHome } from '../home.ts';
import { checkPolicy, type SiteIdentity } from '../study/offer.ts';
import { StudyFolder, type PinnedStudy } from '../study/folder.ts';
import type { DecisionBytes } from '../study/signature.ts';
import type { LocalWork } from '../training/work.ts';
import type { Witness } from '../witness/witness.ts';
import type { RoundMessages } from './messages.ts';
import { ProgressStore } from './progress.ts';
import { Sessions } from './session.ts';

/** What taking part needs from outside; tests put fakes here. */
export interface RoundParts {
  readonly home: AgentHome;
  readonly site: SiteIdentity;
  readonly identity: Identity;
  readonly messages: RoundMessages;
  /** Decisions on a study as the aggregator has them; verified here. */
  readonly decisions: (study: string, signal: AbortSignal) => Promise<readonly DecisionBytes[]>;
  /** What this hospital saw of the log, over all studies. */
  readonly witness: Witness;
  readonly work: LocalWork;
  /** Of this home's data set. */
  readonly ledger: BudgetLedger;
  readonly masker: Masker;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
}

/** This silo's place in one study: what it signed and what it keeps. */
export interface Seat {
  readonly pinned: PinnedStudy;
  readonly folder: StudyFolder;
  readonly progress: ProgressStore;
  readonly sessions: Sessions;
}

/**
 * Takes the seat in a study that this steward approved, that keeps this hospital's own floors, and
 * that every other hospital approved with its pinned key. Throws STUDY_NOT_SIGNED, STUDY_CHANGED,
 * CHARTER_FLOOR_TOO_WEAK, CHARTER_ROSTER_INVALID, CHARTER_EXPIRED, STUDY_UNSIGNED, DECISION_INVALID,
 * RPC_*.
 */
export async function openSeat(
  parts: RoundParts,
  study: string,
  signal: AbortSignal,
): Promise<Seat> {
  const { home, site, clock } = parts;
  const folder = new StudyFolder(home.paths, study, site);
  const pinned = await folder.approved();
  checkPolicy(pinned.charter, home.config.policy, clock.nowMs());
  if (!(await folder.hasAllSignatures(pinned))) {
    await folder.keepSignatures(pinned, await parts.decisions(study, signal));
  }
  return {
    pinned,
    folder,
    progress: new ProgressStore(folder.folder, pinned),
    sessions: new Sessions(home.paths.rounds(study)),
  };
}
