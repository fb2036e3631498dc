import type { Json, JsonSchema } from '@medley/kit';
import { readDocument, writeDocument } from '../file.ts';
import type { LocalSummary } from '../training/work.ts';
import type { RoundId } from './task.ts';

/** One round in results/<study>.json. */
export interface RoundResult {
  readonly round: number;
  readonly attempt: number;
  readonly kind: string;
  /** This site's own figures; they never leave it. Absent for rounds it was not part of. */
  readonly local?: LocalSummary;
  /** What all silos together saw, from the verified sum. Absent until the round is closed. */
  readonly federated?: Json;
}

/** results/<study>.json: for this hospital's own eyes. */
export interface StudyResult {
  readonly medley: 'result/v1';
  readonly study: string;
  readonly rounds: readonly RoundResult[];
}

const SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['medley', 'study', 'rounds'],
  properties: {
    medley: { const: 'result/v1' },
    study: { type: 'string' },
    rounds: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['round', 'attempt', 'kind'],
        properties: {
          round: { type: 'integer', minimum: 0 },
          attempt: { type: 'integer', minimum: 1 },
          kind: { type: 'string' },
          local: { type: 'object' },
          federated: {},
        },
      },
    },
  },
};

/** Figures of one study, empty before its first round. Throws AGENT_STATE_INVALID. */
export async function readResult(file: string, study: string): Promise<StudyResult> {
  return (
    (await readDocument<StudyResult>(file, SCHEMA)) ?? { medley: 'result/v1', study, rounds: [] }
  );
}

/** Puts figures of one round in; a new attempt replaces the old one's. */
export async function recordResult(
  file: string,
  id: RoundId,
  kind: string,
  figures: Pick<RoundResult, 'local' | 'federated'>,
): Promise<void> {
  const { round, attempt } = id;
  const result = await readResult(file, id.study);
  const earlier = result.rounds.find((one) => one.round === round && one.attempt === attempt);
  const entry: RoundResult = { ...earlier, round, attempt, kind, ...figures };
  const others = result.rounds.filter((one) => one.round !== round);
  const rounds = [...others, entry].sort((a, b) => a.round - b.round);
  await writeDocument(file, { ...result, rounds });
}

/** Waits until all have ended, so that nothing goes on behind a failure; then throws the first one. */
export async function allDone(writes: readonly Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(writes);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
