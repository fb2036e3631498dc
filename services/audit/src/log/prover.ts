import { MedleyError } from '@medley/kit';
import { leafHash, MerkleTree } from '@medley/merkle';
import type { LogStore } from '../store/store.ts';

/** Leaves fetched at a time while catching up; 256 leaves are at most 16 MiB. */
const BATCH = 256;

/**
 * Proves what the log holds. It hashes the leaves itself instead of trusting the hashes that the
 * aggregator stored beside them, so a proof it gives is about the leaves it serves.
 */
export class Prover {
  readonly #store: LogStore;
  readonly #tree = new MerkleTree();
  #catchingUp: Promise<void> = Promise.resolve();

  constructor(store: LogStore) {
    this.#store = store;
  }

  /** Audit path of entry `index` in the tree of `size` entries. Throws AUDIT_RANGE. */
  async inclusion(index: number, size: number): Promise<readonly Uint8Array[]> {
    await this.#reach(size);
    if (!isCount(index) || index >= size) throw range(`entry ${String(index)} of ${String(size)}`);
    return this.#tree.inclusionProof(index, size);
  }

  /** Proof that the tree of `to` entries continues that of `from`, 0 < from ≤ to. Throws AUDIT_RANGE. */
  async consistency(from: number, to: number): Promise<readonly Uint8Array[]> {
    await this.#reach(to);
    if (!isCount(from) || from === 0 || from > to) {
      throw range(`sizes ${String(from)} and ${String(to)}`);
    }
    return this.#tree.consistencyProof(from, to);
  }

  async #reach(size: number): Promise<void> {
    if (!isCount(size)) throw range(`size ${String(size)}`);
    // One caller at a time extends the tree; the others find it extended.
    const turn = this.#catchingUp.then(() => this.#extend(size));
    this.#catchingUp = turn.catch(() => undefined);
    await turn;
  }

  async #extend(size: number): Promise<void> {
    while (this.#tree.size < size) {
      const from = this.#tree.size;
      const leaves = await this.#store.leaves(from, Math.min(size, from + BATCH));
      if (leaves.length === 0) throw range(`size ${String(size)}, the log has ${String(from)}`);
      for (const leaf of leaves) this.#tree.append(leafHash(leaf));
    }
  }
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

function range(detail: string): MedleyError {
  return new MedleyError('AUDIT_RANGE', detail);
}
