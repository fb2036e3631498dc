import type { Study } from '@medley/study';
import type { Tally } from './tally.ts';

/**
 * One patient's row in the study's words: every feature and outcome column by its study name,
 * numbers in the study's units, categories as the study's level names.
 */
export type StudyRow = Readonly<Record<string, number | string>>;

/** A row and where it stands in its source, so that later faults can still name the place. */
export interface LocatedRow {
  /** 1-based line of the source. */
  readonly line: number;
  readonly row: StudyRow;
}

export interface ConnectorDescription {
  readonly id: string;
  readonly kind: 'csv';
  /** The source as faults name it: a file name without its folder. */
  readonly source: string;
  /** Column names as the source has them. */
  readonly columns: readonly string[];
}

/**
 * One source of patient rows at this site. Read-only: a connector never writes to its source and
 * never opens a network connection to the aggregator.
 */
export interface Connector {
  /** Stable name within the site; salts the train/test split of this source's rows. */
  readonly id: string;
  /** Reads no more than the header. Throws DATA_FILE_UNREADABLE and header faults. */
  describe(): Promise<ConnectorDescription>;
  /** Checks the source against the study without keeping a row; what it finds goes into `tally`. */
  validate(study: Study, tally: Tally): Promise<void>;
  /**
   * Streams the rows in source order. A row that breaks a rule is left out and its faults go into
   * `tally`; the caller decides whether to go on. A mapping that cannot serve the study at all gives
   * faults and no rows.
   */
  open(study: Study, tally: Tally): AsyncIterable<LocatedRow>;
  /** SHA-256 (hex) over the source's bytes: changes whenever the extract changes. */
  fingerprint(): Promise<string>;
  close(): Promise<void>;
}
