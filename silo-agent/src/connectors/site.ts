import type { JsonSchema } from '@medley/kit';
import type { CsvConfig } from './csv.ts';

/** Where this site's rows come from. Plain data; part of the site's configuration file. */
export interface SiteData {
  /** Folder against which relative file paths of connectors are taken. */
  readonly folder: string;
  readonly connectors: readonly ConnectorConfig[];
}

export type ConnectorConfig = CsvConfig;
