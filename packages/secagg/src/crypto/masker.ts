import { setImmediate } from 'node:timers/promises';
import { applyMasks, type Mask } from './masks.ts';

/** Port: applies masks to whole vectors without holding up the thread that calls. */
export interface Masker {
  /** A vector of zeros that {@link Masker.apply} can work on without a copy; the caller's. */
  vector(length: number): Uint32Array;
  /**
   * {@link applyMasks} on the whole of `target`, a vector from {@link Masker.vector} that nobody else
   * touches until this resolves. Throws INTERNAL when a thread ends, INTERRUPTED after `close`.
   */
  apply(target: Uint32Array, masks: readonly Mask[]): Promise<void>;
  /** Ends the threads; what still runs is rejected. */
  close(): Promise<void>;
}

/** Words × masks between two breaths of the event loop, about 10 ms. */
const BREATH = 2 ** 23;

/** Masks in the calling thread, with a breath for others every few milliseconds. */
export const threadMasker: Masker = {
  vector: (length) => new Uint32Array(length),
  apply: async (target, masks) => {
    if (masks.length === 0) return;
    const words = Math.max(1024, Math.floor(BREATH / masks.length / 1024) * 1024);
    for (let start = 0; start < target.length; start += words) {
      if (start > 0) await setImmediate();
      applyMasks(target.subarray(start, start + words), masks, start);
    }
  },
  close: async () => undefined,
};
