import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename, resolve } from 'node:path';
import { MedleyError, isMedleyError, type JsonSchema } from '@medley/kit';
import type { Study } from '@medley/study';
import { readColumn } from './column.ts';
import { compileMapping, type CompiledColumn } from './compile.ts';
import type { CellDialect } from './cell.ts';
import type { Connector, ConnectorDescription, LocatedRow } from './connector.ts';
import { MAPPING_SCHEMA, type Mapping } from './mapping.ts';
import { readRecords, unreadable, type TextRecord } from './record.ts';
import type { Tally } from './tally.ts';

export interface CsvConfig {
  readonly id: string;
  readonly kind: 'csv';
  /** Path of the file; relative ones start at the folder of the configuration file. */
  readonly file: string;
  readonly delimiter: string;
  readonly quote: string;
  readonly encoding: 'utf-8' | 'windows-1252' | 'utf-16le';
  readonly decimal: '.' | ',';
  readonly missing: {
    readonly markers: readonly string[];
    /** `refuse`: a missing value is a fault; `leaveOut`: its row is not used, and counted. */
    readonly rows: 'refuse' | 'leaveOut';
  };
  readonly columns: Mapping;
}

/** JSON Schema of {@link CsvConfig}, with defaults. */
export const CSV_SCHEMA: JsonSchema = {
  type: 'object',
  description: 'A delimited text file with one header line and one patient a row.',
  additionalProperties: false,
  required: ['id', 'kind', 'file', 'columns'],
  properties: {
    id: {
      type: 'string',
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      description: 'Stable name: the train/test split of this source’s rows hangs on it.',
    },
    kind: { const: 'csv' },
    file: { type: 'string', minLength: 1, description: 'Relative to this configuration file.' },
    delimiter: { type: 'string', minLength: 1, maxLength: 1, default: ',' },
    quote: { type: 'string', minLength: 1, maxLength: 1, default: '"' },
    encoding: { enum: ['utf-8', 'windows-1252', 'utf-16le'], default: 'utf-8' },
    decimal: { enum: ['.', ','], default: '.' },
    missing: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        markers: {
          type: 'array',
          items: { type: 'string' },
          default: ['', 'NA'],
          description: 'Texts that mean "no value".',
        },
        rows: {
          enum: ['refuse', 'leaveOut'],
          default: 'refuse',
          description: 'Whether a row with a missing value is a fault or is not used.',
        },
      },
    },
    columns: MAPPING_SCHEMA,
  },
};

/** A delimited text file. Streams; holds one chunk at a time. */
export class CsvConnector implements Connector {
  readonly id: string;
  readonly #config: CsvConfig;
  readonly #path: string;
  readonly #source: string;
  readonly #dialect: CellDialect;

  constructor(config: CsvConfig, folder: string) {
    this.id = config.id;
    this.#config = config;
    this.#path = resolve(folder, config.file);
    this.#source = basename(this.#path);
    this.#dialect = { decimal: config.decimal, markers: new Set(config.missing.markers) };
  }

  async describe(): Promise<ConnectorDescription> {
    for await (const { cells } of readRecords(this.#path, this.#config)) {
      return { id: this.id, kind: 'csv', source: this.#source, columns: cells };
    }
    throw new MedleyError('DATA_FORMAT_INVALID', `${this.#source}: there is no header line`);
  }

  async validate(study: Study, tally: Tally): Promise<void> {
    // Drained for what it finds only.
    const rows = this.open(study, tally);
    while ((await rows.next()).done !== true);
  }

  async *open(study: Study, tally: Tally): AsyncGenerator<LocatedRow> {
    const columns = compileMapping(study, this.#config.columns, `connector ${this.id}`, tally);
    if (!columns) return;
    let header: Header | undefined;
    try {
      for await (const record of readRecords(this.#path, this.#config)) {
        if (!header) {
          header = this.#readHeader(record.cells, columns, tally);
          if (!header) return;
          continue;
        }
        tally.rows += 1;
        const row = this.#readRow(record, columns, header, tally);
        if (row) yield row;
      }
    } catch (caught) {
      if (!isMedleyError(caught)) throw caught;
      if (caught.code !== 'DATA_FORMAT_INVALID' && caught.code !== 'DATA_FILE_UNREADABLE')
        throw caught;
      tally.fault({ code: caught.code, source: this.#source, rule: ruleOf(caught, this.#source) });
      return;
    }
    if (!header) {
      const rule = 'there is no header line';
      tally.fault({ code: 'DATA_FORMAT_INVALID', source: this.#source, rule });
    }
  }

  async fingerprint(): Promise<string> {
    const hash = createHash('sha256');
    try {
      for await (const chunk of createReadStream(this.#path)) hash.update(chunk as Buffer);
    } catch (cause) {
      throw unreadable(this.#source, cause);
    }
    return hash.digest('hex');
  }

  async close(): Promise<void> {
    // Nothing is held between calls: each opens its own stream and closes it.
  }

  #readHeader(
    names: readonly string[],
    columns: readonly CompiledColumn[],
    tally: Tally,
  ): Header | undefined {
    const before = tally.faults.count;
    const at = new Map<string, number>();
    const trimmed = names.map((name) => name.trim());
    for (const name of new Set(columns.flatMap(({ reads }) => reads))) {
      const first = trimmed.indexOf(name);
      const place = { source: this.#source, line: 1, column: name };
      if (first === -1) {
        tally.fault({ ...place, code: 'DATA_COLUMN_MISSING', rule: 'is not in the header' });
      } else if (trimmed.includes(name, first + 1)) {
        tally.fault({ ...place, code: 'DATA_DUPLICATE_COLUMN', rule: 'is in the header twice' });
      }
      at.set(name, first);
    }
    return tally.faults.count > before ? undefined : { at, width: names.length };
  }

  #readRow(
    { line, cells }: TextRecord,
    columns: readonly CompiledColumn[],
    header: Header,
    tally: Tally,
  ): LocatedRow | undefined {
    const source = this.#source;
    if (cells.length !== header.width) {
      const rule = `has ${cells.length} cells, the header has ${header.width}`;
      tally.fault({ code: 'DATA_ROW_RAGGED', source, line, rule });
      return undefined;
    }
    // In range: every column read is in the header and the row is as wide as it.
    const cellAt = (name: string): string => cells[header.at.get(name)!]!;
    const row: Record<string, number | string> = {};
    let isWhole = true;
    let isMissing = false;
    for (const column of columns) {
      const cell = readColumn(column, cellAt, this.#dialect);
      const place = { source, line, column: column.reads.join(', ') };
      const { name } = column.target;
      if (cell.kind === 'value') {
        row[name] = cell.value;
        continue;
      }
      isWhole = false;
      if (cell.kind === 'fault') {
        tally.fault({ ...place, target: name, code: cell.code, rule: cell.rule });
        continue;
      }
      isMissing = true;
      tally.addMissing(name);
      if (this.#config.missing.rows === 'refuse') {
        tally.fault({ ...place, target: name, code: 'DATA_MISSING_VALUE', rule: 'has no value' });
      }
    }
    if (isMissing) tally.missingRows += 1;
    return isWhole ? { line, row } : undefined;
  }
}

interface Header {
  readonly at: ReadonlyMap<string, number>;
  readonly width: number;
}

/** The message without the source's name, which the fault carries itself. */
function ruleOf(error: MedleyError, source: string): string {
  return error.message.startsWith(`${source}: `)
    ? error.message.slice(source.length + 2)
    : error.message;
}
