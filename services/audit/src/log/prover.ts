import { equalBytes, MedleyError } from '@medley/kit';
import { leafHash, MerkleTree, parseCheckpoint } from '@medley/merkle';
import type { LogStore } from '../store/store.ts';

/** Leaves fetched at a time while catching up; 256 leaves are at most 16 MiB. */
const BATCH = 256;

/**
 * Proves what the log holds. It hashes the leaves itself instead of believing the hashes that the
 * aggregator stored beside them, and refuses to prove anything once they no longer lead to the root
 * of the newest checkpoint. Holds about 64 bytes an entry. All methods throw AUDIT_RANGE for sizes
 * that no checkpoint covers, AUDIT_FAILED when entries and checkpoint disagree, and what the store
 * throws.
 */
export class Prover {
  readonly #store: LogStore;
  readonly #tree = new MerkleTree();
  /** Entries that are known to lead to a signed root. */
  #proven = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: LogStore) {
    this.#store = store;
  }

  /** Audit path of entry `index` in the tree of `size` entries, the leaf's sibling first. */
  async inclusion(index: number, size: number): Promise<readonly Uint8Array[]> {
    await this.#reach(size);
    if (!isCount(index) || index >= size) throw range(`entry ${index} of ${size}`);
    return this.#tree.inclusionProof(index, size);
  }

  /** Proof that the tree of `to` entries continues that of `from`, 0 < from ≤ to. */
  async consistency(from: number, to: number): Promise<readonly Uint8Array[]> {
    await this.#reach(to);
    if (!isCount(from) || from === 0 || from > to) throw range(`sizes ${from} and ${to}`);
    return this.#tree.consistencyProof(from, to);
  }

  /** Derives the newest checkpoint's root from the entries; gives the number of entries it covers. */
  async check(): Promise<number> {
    // One caller at a time extends the tree; the others find it extended.
    const turn = this.#turn.then(() => this.#catchUp());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #reach(size: number): Promise<void> {
    const covered = isCount(size) && size <= this.#proven ? this.#proven : await this.check();
    if (!isCount(size) || size > covered) throw range(`size ${size}, signed are ${covered}`);
  }

  async #catchUp(): Promise<number> {
    const newest = await this.#store.newestCheckpoint();
    if (!newest || newest.size === this.#proven) return this.#proven;
    const { size, root } = parseCheckpoint(newest.note);
    while (this.#tree.size < size) {
      const from = this.#tree.size;
      const leaves = await this.#store.leaves(from, Math.min(size, from + BATCH));
      if (leaves.length === 0) throw broken(`signed are ${size} entries, there are ${from}`);
      for (const leaf of leaves) this.#tree.append(leafHash(leaf));
    }
    if (size !== newest.size || !equalBytes(this.#tree.root(size), root)) {
      throw broken(`the entries do not lead to the root of the checkpoint of size ${size}`);
    }
    this.#proven = size;
    return size;
  }
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

function range(detail: string): MedleyError {
  return new MedleyError('AUDIT_RANGE', detail);
}

function broken(detail: string): MedleyError {
  return new MedleyError('AUDIT_FAILED', detail);
}
