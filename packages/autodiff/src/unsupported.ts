import { MedleyError } from '@medley/kit';
import type { Unsupported } from './path.ts';

/** One error that names every node in the way, so that nobody mends a model one node at a time. */
export function refusal(nodes: readonly Unsupported[]): MedleyError {
  const lines = nodes.map(
    ({ node, op, reason, advice }) => `node "${node}" (${op}): ${reason}; ${advice}`,
  );
  const count = `${nodes.length} node${nodes.length === 1 ? '' : 's'} cannot be trained`;
  return new MedleyError('MODEL_UNSUPPORTED_OPERATOR', `${count}:\n${lines.join('\n')}`);
}
