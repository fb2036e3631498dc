import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMedleyError, MedleyError, readBytes, toHex } from '@medley/kit';
import type { AdminMethods, Client } from '@medley/rpc';
import { withDoor } from '../connection.ts';
import type { OperatorHome } from '../home.ts';
import type { BundleFolder } from './folder.ts';

/** Files that travel with a bundle though they are not of the log. */
export interface Surrounding {
  /** Folder of derived views (FHIR, CSV, PDF …), copied to `views/`; null for none. */
  readonly viewsFolder: string | null;
  readonly home: OperatorHome;
  readonly admin: Client<AdminMethods>;
  readonly version: string;
  readonly signal: AbortSignal;
}

const VERIFIER = fileURLToPath(new URL('../../verify/verify.mjs', import.meta.url));
const BILL = fileURLToPath(new URL('../../generated/sbom.cdx.json', import.meta.url));
const MAX_VIEWS = 10_000;

/**
 * Writes the verifier, keys and lists of the present state, and says what is missing: lists that this
 * operator's roles do not open are gaps, not errors. Throws FILE_*.
 */
export async function writeSurroundings(
  folder: BundleFolder,
  parts: Surrounding,
): Promise<readonly string[]> {
  const { home, version, admin, signal } = parts;
  const gaps = [
    'Masked vectors, model states and the ONNX files are not here; the entries name them by hash.',
    'aggregator.yaml and audit.yaml stay on their machines; settings that hospitals care for are in roles/changes.jsonl.',
    'Reading the log through the audit service is not recorded; exports are.',
    'What hospitals keep for themselves (agent logs, ledgers, data) is not here.',
  ];
  await folder.write('verify.mjs', await readBytes(VERIFIER));
  await folder.write('keys/authority.pem', home.caPem);
  await folder.write('keys/operator.pem', home.certPem);
  const { consortium, operator } = home.config;
  await folder.write('system/configuration.json', json({ consortium, operator, medley: version }));
  const bill = await readBytes(BILL).catch(() => undefined);
  if (bill) await folder.write('system/sbom.cdx.json', bill);
  else gaps.push('This installation has no software bill of materials.');
  const list = async (path: string, ask: () => Promise<unknown>): Promise<void> => {
    try {
      await folder.write(path, json(await ask()));
    } catch (caught) {
      if (!isMedleyError(caught) || signal.aborted || caught.code === 'FILE_UNWRITABLE')
        throw caught;
      gaps.push(`${path} is missing: ${caught.code}.`);
    }
  };
  await list('roles/state.json', () => admin.listOperators({}, { signal }));
  await list('certificates/state.json', async () => ({
    silos: (await admin.listSilos({}, { signal })).silos.map(
      ({ silo, state, fingerprint, certificateSerial, certificateExpiresMs }) => ({
        ...{ silo, state, fingerprint, certificateSerial, certificateExpiresMs },
      }),
    ),
    revoked: (await admin.listRevocations({}, { signal })).revoked,
  }));
  await list('certificates/crl.json', () =>
    withDoor(home, (door) => door.getRevocations({}, { signal })),
  );
  if (parts.viewsFolder === null) gaps.push('No derived views (FHIR, CSV, PDF) were asked for.');
  else await copyViews(folder, parts.viewsFolder);
  return gaps;
}

function json(value: unknown): string {
  const plain = (_: string, item: unknown): unknown =>
    item instanceof Uint8Array ? toHex(item) : item;
  return `${JSON.stringify(value, plain, 2)}\n`;
}

/** Copies regular files with plain names; anything else is refused. */
async function copyViews(folder: BundleFolder, from: string): Promise<void> {
  const entries = await readdir(from, { recursive: true, withFileTypes: true }).catch(
    (cause: unknown) => {
      throw new MedleyError('FILE_UNREADABLE', `${from} cannot be read`, { cause });
    },
  );
  const files = entries.filter((entry) => !entry.isDirectory());
  if (files.length > MAX_VIEWS) throw new MedleyError('FILE_UNREADABLE', `${from}: too many files`);
  for (const entry of files) {
    const file = join(entry.parentPath, entry.name);
    const path = file.slice(from.length).replace(/^\//, '');
    const isPlain = path.split('/').every((part) => /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(part));
    if (!entry.isFile() || !isPlain) {
      throw new MedleyError('FILE_UNREADABLE', `${file} is no file with a plain name`);
    }
    await folder.write(`views/${path}`, await readBytes(file));
  }
}
