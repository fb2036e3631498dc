import { join } from 'node:path';
import { MedleyError, readBytes } from '@medley/kit';
import {
  bundlesFor,
  entriesPath,
  formatBundle,
  leafHash,
  MerkleTree,
  parseBundle,
  TILE_WIDTH,
} from '@medley/merkle';
import type { AuditMethods, Client } from '@medley/rpc';
import type { BundleFolder } from './folder.ts';

/** A log that lies in a bundle's folder as entry bundles. */
export interface SpooledLog {
  readonly size: number;
  readonly tree: MerkleTree;
  /** Every leaf in order, read from the folder again. */
  leaves(): AsyncGenerator<readonly [index: number, leaf: Uint8Array]>;
}

/**
 * Downloads the first `size` entries into `tile/entries/`, holding one bundle of 256 at a time and the
 * hashes of all. Throws AUDIT_FAILED when there are fewer, and what the call throws.
 */
export async function spoolLog(
  audit: Client<AuditMethods>,
  folder: BundleFolder,
  size: number,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: (done: number) => void },
): Promise<SpooledLog> {
  const tree = new MerkleTree();
  const bundles = bundlesFor(size);
  let waiting: Uint8Array[] = [];
  const put = async (): Promise<void> => {
    const next = bundles.next();
    if (next.done) throw new MedleyError('AUDIT_FAILED', `more than ${size} entries were sent`);
    if (waiting.length !== next.value.width) {
      throw new MedleyError('AUDIT_FAILED', `signed are ${size} entries, ${tree.size} were sent`);
    }
    await folder.write(entriesPath(next.value), formatBundle(waiting));
    waiting = [];
    progress(tree.size);
  };
  for await (const { leaf } of audit.listEntries({ from: '0', to: String(size) }, { signal })) {
    tree.append(leafHash(leaf));
    waiting.push(new Uint8Array(leaf));
    if (waiting.length === TILE_WIDTH) await put();
  }
  if (waiting.length > 0) await put();
  if (tree.size !== size) {
    throw new MedleyError('AUDIT_FAILED', `signed are ${size} entries, ${tree.size} were sent`);
  }
  return { size, tree, leaves: () => leavesIn(folder.path, size, signal) };
}

async function* leavesIn(
  path: string,
  size: number,
  signal: AbortSignal,
): AsyncGenerator<readonly [number, Uint8Array]> {
  let index = 0;
  for (const bundle of bundlesFor(size)) {
    signal.throwIfAborted();
    const bytes = await readBytes(join(path, entriesPath(bundle)));
    for (const leaf of parseBundle(bytes, bundle.width)) yield [index++, leaf];
  }
}
