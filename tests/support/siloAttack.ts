import type { Sending } from './simAgent.ts';

/** What becomes of the round in which a silo attacks. */
export type Outcome = 'goes on with it' | 'goes on without it' | 'is tried again without it';

/** One thing that a hostile silo tries against an honest aggregator. */
export interface SiloAttack {
  readonly title: string;
  /** The step of the training round in which it is played. */
  readonly step: Sending['step'];
  /** Sends what it sends, and gives the codes of the answers. */
  readonly play: (sending: Sending) => Promise<readonly string[]>;
  readonly codes: readonly string[];
  readonly outcome: Outcome;
  /** Whether the silo goes away afterwards, so that nobody waits for it. */
  readonly leaves?: boolean;
  /** Gate that keeps the round from moving the model. */
  readonly rolledBack?: string;
  /** Lines that the log has about it: `type silo step code`. */
  readonly log: readonly string[];
}

/** The leaf of a refused message. */
export const refused = (step: string, code: string): string =>
  `message.refused mallory ${step} ${code}`;
/** The leaf of a proven fault. */
export const blamed = (step: string, code: string): string =>
  `round.blamed mallory ${step} ${code}`;
