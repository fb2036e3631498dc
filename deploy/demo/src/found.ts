import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { systemRng, toHex, writeDurably } from '@medley/kit';
import { editDocument } from './document.ts';
import { logFile, operatorHome, until, type Box } from './box.ts';
import type { Running } from './programs.ts';

interface Made {
  readonly aggregatorConfig: string;
  readonly auditConfig: string;
}

/** The two servers of the box and what it needs to know of them. */
export interface Servers {
  readonly aggregator: Running;
  readonly audit: Running;
  /** File with the passphrase of the authority's key. */
  readonly passphraseFile: string;
}

/**
 * Step 1: the operator creates the authority and starts aggregator and audit service. Masked vectors
 * of closed rounds stay on the aggregator's disk for step 7, unless `keepMaskedVectors` is false.
 */
export async function foundConsortium(
  box: Box,
  { keepMaskedVectors = true }: { readonly keepMaskedVectors?: boolean } = {},
): Promise<Servers> {
  const passphraseFile = join(box.work, 'authority.passphrase');
  await writeDurably(passphraseFile, toHex(systemRng.bytes(16)));
  const home = (name: string): string => join(box.work, name);
  const made = await box.programs.call<Made>(
    'medley',
    ...['consortium', 'init', 'demo', '--home', operatorHome(box)],
    ...['--aggregator-home', home('aggregator'), '--audit-home', home('audit')],
    ...['--host', '127.0.0.1', '--enrolment-port', '0', '--rounds-port', '0', '--audit-port', '0'],
    ...['--passphrase-file', passphraseFile, '--single-operator'],
  );
  await editDocument(made.aggregatorConfig, (yaml) =>
    yaml.set('keepMaskedVectors', keepMaskedVectors),
  );
  const aggregator = await startServer(box, 'aggregator', made.aggregatorConfig);
  const audit = await startServer(box, 'audit', made.auditConfig);
  return { aggregator, audit, passphraseFile };
}

async function startServer(
  box: Box,
  name: 'aggregator' | 'audit',
  config: string,
): Promise<Running> {
  const args = ['serve', '--config', config];
  const running = box.programs.start(name, `medley-${name}`, args, { log: logFile(box, name) });
  const endpoints = join(box.work, name, 'endpoints.json');
  await until(box, `${name} listens`, running, async () => {
    try {
      await access(endpoints);
      return true;
    } catch {
      return undefined;
    }
  });
  return running;
}
