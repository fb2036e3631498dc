import type { Clock } from '@medley/kit';
import { leafHash, logKeyFromSeed, MerkleTree, type WitnessKey } from '@medley/merkle';
import type { HomePaths } from '../../silo-agent/src/home.ts';
import { Witness, type ProveLog } from '../../silo-agent/src/witness/witness.ts';

/** A witness key made from a hospital's name. */
export function witnessKeyOf(silo: string): WitnessKey {
  const seed = new TextEncoder().encode(silo.padEnd(32, '.')).slice(0, 32);
  return logKeyFromSeed(`medley/test/${silo}`, seed);
}

/** A hospital's witness over the files of its home. */
export async function witnessOf(
  { witness: files }: Pick<HomePaths, 'witness'>,
  silo: string,
  parts: { readonly prove: ProveLog; readonly clock: Clock },
): Promise<Witness> {
  const witness = new Witness({ files, key: witnessKeyOf(silo), ...parts });
  await witness.load();
  return witness;
}

/** Honest consistency proofs over leaves that may still grow. */
export function proveOver(leaves: readonly Uint8Array[]): ProveLog {
  return async (from, to) =>
    new MerkleTree(leaves.slice(0, to).map(leafHash)).consistencyProof(from, to);
}
