import { parentPort } from 'node:worker_threads';
import { applyMasks } from './masks.ts';
import type { MaskJob } from './pool.ts';

// The entry of a masking thread: it runs at import. Keys come from the thread that owns them and are
// gone with the message.
parentPort?.on('message', ({ memory, start, length, firstWord, masks }: MaskJob) => {
  applyMasks(new Uint32Array(memory, 4 * start, length), masks, firstWord);
  parentPort?.postMessage('done');
});
