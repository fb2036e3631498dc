import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readBytes, readText, toHex } from '@medley/kit';
import { bundlesFor, entriesPath, parseBundle, parseCheckpoint } from '@medley/merkle';
import { layoutFor, readCharter, type RoundKind, type Study } from '@medley/study';
import { agentHome, operatorHome, type Box } from './box.ts';
import type { DemoFigures } from './figures.ts';
import type { AuditReport, BundleReport, ExportReport } from './status.ts';
import { chiSquareOfBytes } from './uniformity.ts';

const KINDS: readonly RoundKind[] = ['statistics', 'training', 'evaluation'];
const SAMPLE_BYTES = 48;

/** The log is downloaded, kept in `audit/` and derived anew. */
export async function verifyAudit(box: Box): Promise<AuditReport> {
  return box.programs.call<AuditReport>(
    'medley',
    ...['audit', 'verify', '--out', join(box.out, 'audit'), '--home', operatorHome(box)],
  );
}

/**
 * The log is exported to `audit/` as an auditor gets it, and judged twice: by the programs'
 * own check, and by the bundle's `verify.mjs`, which shares no code with them.
 */
export async function exportAudit(
  box: Box,
): Promise<{ readonly audit: AuditReport; readonly bundle: BundleReport }> {
  const { programs } = box;
  const folder = join(box.out, 'audit');
  const logKey = join(operatorHome(box), 'log.vkey');
  await programs.call(
    'medley',
    ...['audit', 'export', '--out', folder, '--recipient', 'readers of the demo'],
    ...['--home', operatorHome(box)],
  );
  const [audit, bundle] = await Promise.all([
    programs.call<AuditReport>('medley', 'audit', 'verify', '--from', folder, '--log-key', logKey),
    programs.call<BundleReport>('verify.mjs', folder, '--log-key', logKey),
  ]);
  return { audit, bundle };
}

/** The trained model, opening in stock ONNX Runtime. */
export async function exportTrained(box: Box, study: string): Promise<ExportReport> {
  return box.programs.call<ExportReport>(
    'medley',
    ...['model', 'export', study, '--out', join(box.out, 'model.onnx')],
    ...['--home', operatorHome(box)],
  );
}

/**
 * What lies in the aggregator's blob folder of the hospitals' vectors. Opened sums have the same size
 * as masked vectors; the log names them by hash, and what remains is masked.
 */
export async function lookIntoAggregator(
  box: Box,
  study: Study,
): Promise<DemoFigures['aggregatorSaw']> {
  const [first] = box.source.silos;
  if (!first) throw new Error('a box has silos');
  const charterFile = join(agentHome(box, first), 'studies', study.name, 'charter.json');
  const charter = readCharter(await readBytes(charterFile));
  const words = KINDS.map((kind) =>
    layoutFor(study, charter, kind).reduce((sum, slot) => sum + slot.length, 0),
  );
  const sums = await openedSums(join(box.out, 'audit'));
  const masked: Uint8Array[] = [];
  const blobs = join(box.work, 'aggregator', 'blobs');
  for (const entry of await readdir(blobs, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || sums.has(entry.name)) continue;
    const bytes = await readBytes(join(entry.parentPath, entry.name));
    if (words.includes(bytes.length / 4)) masked.push(bytes);
  }
  return {
    maskedVectors: masked.length,
    words: Math.max(...words),
    chiSquare: chiSquareOfBytes(masked),
    sample: toHex((masked[0] ?? new Uint8Array()).subarray(0, SAMPLE_BYTES)),
  };
}

/** Hashes of the sums that were opened, as the log has them. */
async function openedSums(audit: string): Promise<Set<string>> {
  const { size } = parseCheckpoint(await readText(join(audit, 'checkpoint')));
  const found = new Set<string>();
  for (const bundle of bundlesFor(size)) {
    const bytes = await readBytes(join(audit, entriesPath(bundle)));
    for (const leaf of parseBundle(bytes, bundle.width)) {
      const event = JSON.parse(new TextDecoder().decode(leaf)) as {
        type: string;
        data: { aggregateHash?: string };
      };
      if (event.type === 'round.closed' && event.data.aggregateHash !== undefined) {
        found.add(event.data.aggregateHash);
      }
    }
  }
  return found;
}
