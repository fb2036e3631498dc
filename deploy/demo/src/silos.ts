import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isMap, isSeq, type Document } from 'yaml';
import { MedleyError, readText, writeDurably } from '@medley/kit';
import { editDocument, readDocument } from './document.ts';

/** A hospital of the box: its name and the file with its connectors. */
export interface SiloSource {
  readonly name: string;
  /** For people: the first comment of its file, or its name. */
  readonly title: string;
  readonly file: string;
}

/** What `--silos-folder` holds. */
export interface SilosFolder {
  readonly silos: readonly SiloSource[];
  /** All hospitals' files in one site, for the pooled comparison. */
  readonly pooled: string;
  readonly studyFile: string;
}

const POOLED = 'pooled.yaml';
const MIN_SILOS = 3;

/** Finds the hospitals of a folder. Throws DEMO_SILOS_INVALID. */
export async function findSilos(folder: string): Promise<SilosFolder> {
  const sites = join(folder, 'sites');
  let names: string[];
  try {
    names = (await readdir(sites)).filter((name) => name.endsWith('.yaml')).sort();
  } catch (cause) {
    throw new MedleyError('DEMO_SILOS_INVALID', `${sites} cannot be read`, { cause });
  }
  const files = names.filter((name) => name !== POOLED).map((name) => join(sites, name));
  if (files.length < MIN_SILOS || !names.includes(POOLED)) {
    throw new MedleyError('DEMO_SILOS_INVALID', `${sites}: ${names.join(', ') || 'empty'}`);
  }
  return {
    silos: await Promise.all(files.map(readSource)),
    pooled: join(sites, POOLED),
    studyFile: join(folder, 'study', 'study.yaml'),
  };
}

async function readSource(file: string): Promise<SiloSource> {
  const name = basename(file, '.yaml');
  const title = /^# title: (.+)$/m.exec(await readText(file))?.[1]?.trim() ?? name;
  return { name, title, file };
}

/**
 * Puts a site's connectors into an agent's agent.yaml, as its data manager would with an editor.
 * Paths become absolute: the agent's home is not the folder they were written for.
 */
export async function fillConnectors(agentFile: string, siteFile: string): Promise<void> {
  const site = await readDocument(siteFile);
  const connectors = site.get('connectors');
  if (!isSeq(connectors)) {
    throw new MedleyError('DEMO_SILOS_INVALID', `${siteFile} has no list of connectors`);
  }
  for (const connector of connectors.items) {
    if (!isMap(connector)) continue;
    connector.set('file', resolve(dirname(siteFile), String(connector.get('file'))));
  }
  await editDocument(agentFile, (agent) => agent.set('connectors', connectors));
}

/** Copies a study file, changed by `edit`, with another number of rounds; comments stay. */
export async function copyStudy(
  from: string,
  to: string,
  rounds: number | null,
  edit: (study: Document) => void = () => undefined,
): Promise<void> {
  const study = await readDocument(from);
  edit(study);
  if (rounds !== null) study.setIn(['rounds', 'count'], rounds);
  await writeDurably(to, study.toString());
}
