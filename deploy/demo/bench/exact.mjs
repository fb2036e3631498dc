import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundlesFor, entriesPath, parseBundle, parseCheckpoint } from '@medley/merkle';
import { unpackVector } from '@medley/secagg';
import { verifyAudit } from '../dist/evidence.js';
import { COORDINATE, WEIGHT_CAP, pretendedUpdate, pretendedWeight } from './update.mjs';

/**
 * The largest distance of a coordinate of the last opened mean from the exact mean of what the silos
 * offered. The log, verified anew, names the sum; the sum is the aggregator's own file.
 */
export async function largestError({ box, work, names, size, bits, ring }) {
  const { verified } = await verifyAudit(box);
  if (!verified) throw new Error('the audit trail does not hold');
  const hash = await lastSum(join(box.out, 'audit'));
  const bytes = await readFile(join(work, 'aggregator', 'blobs', hash.slice(0, 2), hash));
  const parameters = await parametersOf(work, names[0]);
  const narrow = ring === 32 ? {} : { ringBits: ring };
  const layout = [
    { name: 'update', length: parameters, bound: COORDINATE, bits, ...narrow },
    { name: 'rest', length: size - parameters, bound: 1, bits },
  ];
  const sum = unpackVector(layout, bytes);
  const weights = names.map(pretendedWeight);
  const total = weights.reduce((a, b) => a + b, 0);
  const exact = new Float64Array(parameters);
  names.forEach((name, i) => {
    const update = pretendedUpdate(name, parameters);
    for (let at = 0; at < parameters; at++) exact[at] += (weights[i] * update[at]) / total;
  });
  const step = COORDINATE / (2 ** (bits - 1) - 1);
  let maxError = 0;
  for (let at = 0; at < parameters; at++) {
    const mean = ((sum[at] | 0) * step * WEIGHT_CAP) / total;
    maxError = Math.max(maxError, Math.abs(mean - exact[at]));
  }
  return { maxError, errorBound: names.length * step };
}

async function parametersOf(work, name) {
  const file = join(work, 'silos', name, 'studies', 'bench', 'charter.json');
  return JSON.parse(await readFile(file, 'utf8')).modelParameters;
}

async function lastSum(audit) {
  await readdir(audit);
  const { size } = parseCheckpoint(await readFile(join(audit, 'checkpoint'), 'utf8'));
  let hash;
  for (const bundle of bundlesFor(size)) {
    const bytes = new Uint8Array(await readFile(join(audit, entriesPath(bundle))));
    for (const leaf of parseBundle(bytes, bundle.width)) {
      const event = JSON.parse(new TextDecoder().decode(leaf));
      if (event.type === 'round.closed' && event.data.kind === 'training') {
        hash = event.data.aggregateHash;
      }
    }
  }
  if (hash === undefined) throw new Error('no round closed');
  return hash;
}
