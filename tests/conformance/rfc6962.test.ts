import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fromBase64, isMedleyError } from '@medley/kit';
import { verifyConsistency, verifyInclusion } from '@medley/merkle';

/** Probes of transparency-dev/merkle (Apache-2.0); hashes are base64, null stands for no hashes. */
interface Probes {
  readonly inclusion: readonly InclusionProbe[];
  readonly consistency: readonly ConsistencyProbe[];
}

interface InclusionProbe {
  readonly name: string;
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string | null;
  readonly leafHash: string | null;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

interface ConsistencyProbe {
  readonly name: string;
  readonly size1: number;
  readonly size2: number;
  readonly root1: string | null;
  readonly root2: string | null;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

const file = fileURLToPath(new URL('../../../shared/vectors/rfc6962.json', import.meta.url));

function bytes(text: string | null): Uint8Array {
  // The vectors are canonical base64.
  return fromBase64(text ?? '')!;
}

/** The code a verifier throws, or undefined when it accepts; anything uncoded fails the test. */
function codeOf(verify: () => void): string | undefined {
  try {
    verify();
    return undefined;
  } catch (error) {
    if (isMedleyError(error)) return error.code;
    throw error;
  }
}

if (existsSync(file)) {
  const probes = JSON.parse(readFileSync(file, 'utf8')) as Probes;

  describe('the probes of transparency-dev/merkle', () => {
    test('are 98 of inclusion and 98 of consistency', () => {
      expect(probes.inclusion).toHaveLength(98);
      expect(probes.consistency).toHaveLength(98);
    });

    test.each(probes.inclusion)('inclusion $name', (probe) => {
      const code = codeOf(() =>
        verifyInclusion({
          leafHash: bytes(probe.leafHash),
          index: probe.leafIdx,
          size: probe.treeSize,
          root: bytes(probe.root),
          proof: (probe.proof ?? []).map(bytes),
        }),
      );
      const refusals = ['MERKLE_PROOF_MALFORMED', 'MERKLE_INCLUSION_FAILED'];
      expect(probe.wantErr ? refusals : [undefined]).toContain(code);
    });

    test.each(probes.consistency)('consistency $name', (probe) => {
      const code = codeOf(() =>
        verifyConsistency({
          fromSize: probe.size1,
          toSize: probe.size2,
          fromRoot: bytes(probe.root1),
          toRoot: bytes(probe.root2),
          proof: (probe.proof ?? []).map(bytes),
        }),
      );
      const refusals = ['MERKLE_PROOF_MALFORMED', 'MERKLE_CONSISTENCY_FAILED'];
      expect(probe.wantErr ? refusals : [undefined]).toContain(code);
    });
  });
} else {
  test.skip('the probes of transparency-dev/merkle: shared/vectors/rfc6962.json is not here', () =>
    undefined);
}
