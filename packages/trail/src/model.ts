import { Inquiry, type Claim } from './claim.ts';
import type { Entry } from './entry.ts';

/**
 * Checks the chain of model states of every study: each closed round started from the state that the
 * one before left, an evaluation changed nothing but where it took the last update back, and what was completed or exported is a state of
 * the chain. (The first state is the model's own, which charter.files.model pins.)
 */
export function checkModels(entries: readonly Entry[]): Claim {
  const inquiry = new Inquiry('models');
  const newest = new Map<string, string>();
  const states = new Set<string>();
  const rolledBack = new Set<string>();
  for (const { index, event } of entries) {
    const expect = (holds: boolean, what: string): void =>
      void inquiry.expect(holds, `entry ${index}: ${what}`);
    if (event.type === 'round.opened') {
      const held = newest.get(event.study) ?? event.data.modelHash;
      expect(held === event.data.modelHash, 'the round starts from another state than was left');
    }
    if (event.type === 'model.rolledback') rolledBack.add(`${event.study} ${event.round}`);
    if (event.type === 'round.closed') {
      inquiry.check(`entry ${index}`, () => {
        const { kind, modelHash, nextModelHash } = event.data;
        const held = newest.get(event.study) ?? modelHash;
        expect(held === modelHash, 'the round started from another state than was left');
        const mayChange = kind !== 'evaluation' || rolledBack.has(`${event.study} ${event.round}`);
        expect(mayChange || modelHash === nextModelHash, 'an evaluation changed the model');
        newest.set(event.study, nextModelHash);
        states.add(`${event.study} ${modelHash}`).add(`${event.study} ${nextModelHash}`);
      });
    }
    if (event.type === 'study.completed') {
      expect(
        newest.get(event.study) === event.data.modelHash,
        'the result is not the state that the last round left',
      );
    }
    if (event.type === 'model.exported') {
      expect(
        states.has(`${event.study} ${event.data.modelHash}`),
        'the exported model is no state of the study',
      );
    }
  }
  return inquiry.close('every round starts from the state that the one before left');
}
