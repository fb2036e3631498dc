import { dirname, resolve } from 'node:path';
import { MedleyError, readYaml, type JsonSchema } from '@medley/kit';
import type { Connector } from './connector.ts';
import { CSV_SCHEMA, CsvConnector, type CsvConfig } from './csv.ts';

export type ConnectorConfig = CsvConfig;

/** Where this site's rows come from. Plain data: it crosses a thread boundary by structured clone. */
export interface SiteData {
  /** Folder against which relative file paths of connectors are taken. */
  readonly folder: string;
  readonly connectors: readonly ConnectorConfig[];
}

/** JSON Schema of the `connectors` list; other configuration files embed it. */
export const CONNECTORS_SCHEMA: JsonSchema = {
  type: 'array',
  description: 'Sources of patient rows; their rows are put one after the other.',
  minItems: 1,
  maxItems: 64,
  items: CSV_SCHEMA,
};

const SITE_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['connectors'],
  properties: { connectors: CONNECTORS_SCHEMA },
};

/**
 * Reads a file that holds nothing but `connectors`. Throws CONFIG_UNREADABLE and CONFIG_INVALID
 * with file:line.
 */
export async function readSite(file: string): Promise<SiteData> {
  const { value } = await readYaml<{ connectors: ConnectorConfig[] }>(file, SITE_SCHEMA);
  return siteData(dirname(resolve(file)), value.connectors);
}

/** Puts validated connector configurations together. Throws CONFIG_INVALID for an id given twice. */
export function siteData(folder: string, connectors: readonly ConnectorConfig[]): SiteData {
  const ids = connectors.map(({ id }) => id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) {
    throw new MedleyError('CONFIG_INVALID', `two connectors have the id ${twice}`);
  }
  return { folder, connectors };
}

/** Builds the connectors in the order of the configuration; nothing is opened yet. */
export function openConnectors(site: SiteData): readonly Connector[] {
  return site.connectors.map((config) => new CsvConnector(config, site.folder));
}
