import { MedleyError } from '@medley/kit';
import { parse } from 'csv-parse/sync';
import type { TensorInput } from '../training/feed.ts';
import type { DataSpec } from '../training/manifest.ts';

/** A file of numbers with named columns. */
export interface Table {
  readonly columns: readonly string[];
  /** [rows, columns], row-major. */
  readonly values: Float64Array;
  readonly rows: number;
}

/**
 * Reads comma-separated numbers under a line of column names (RFC 4180); every wanted cell must hold a
 * finite number. Throws TRAINING_DATA_INVALID naming line and column, never the cell's text.
 */
export function readTable(
  text: string,
  wanted: (columns: readonly string[]) => Wanted,
): Table & Wanted {
  const [head, ...records] = recordsOf(text);
  if (head?.length === 1 && /[;\t]/.test(head[0] ?? ''))
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      'the columns are separated by semicolons or tabs; write commas between them, and points in numbers',
    );
  if (head === undefined || records.length === 0)
    throw new MedleyError('TRAINING_DATA_INVALID', 'the file has no row under its column names');
  const repeated = head.find((name, i) => head.indexOf(name) !== i);
  if (repeated !== undefined)
    throw new MedleyError('TRAINING_DATA_INVALID', `two columns are called "${repeated}"`);
  const chosen = wanted(head);
  const columns = [...chosen.features, ...chosen.targets];
  const places = columns.map((name) => head.indexOf(name));
  const unknown = columns.find((_, i) => places[i]! < 0);
  if (unknown !== undefined)
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      `there is no column "${unknown}"; there are: ${head.join(', ')}`,
    );
  const values = new Float64Array(records.length * columns.length);
  records.forEach((record, row) =>
    places.forEach((place, i) => {
      const cell = record[place]!.trim();
      const value = cell === '' ? NaN : Number(cell);
      if (!Number.isFinite(value))
        throw new MedleyError(
          'TRAINING_DATA_INVALID',
          `record ${row + 1}, column "${columns[i]!}": ${cell === '' ? 'empty' : 'not a number (classes are numbered from 0)'}`,
        );
      values[row * columns.length + i] = value;
    }),
  );
  return { columns, values, rows: records.length, ...chosen };
}

/** Columns by their part in a training. */
export interface Wanted {
  readonly features: readonly string[];
  readonly targets: readonly string[];
}

/** Some columns of some rows, in this order, row-major. */
export function cells(table: Table, columns: readonly string[], rows: Int32Array): Float64Array {
  const places = columns.map((name) => table.columns.indexOf(name));
  const width = table.columns.length;
  return Float64Array.from(
    { length: rows.length * places.length },
    (_, i) =>
      table.values[rows[Math.floor(i / places.length)]! * width + places[i % places.length]!]!,
  );
}

/**
 * Cells as the tensor that `spec` describes. Throws TRAINING_DATA_INVALID where the number of columns
 * does not fill a row, or a cell is no whole number where one is wanted.
 */
export function tensorOf(spec: DataSpec, data: Float64Array, rows: number): TensorInput {
  const perRow = data.length / rows;
  const rest = spec.shape.slice(1);
  const known = rest.map((size) => (typeof size === 'number' ? size : 1));
  const wanted = known.reduce((product, size) => product * size, 1);
  const free = rest.findIndex((size) => typeof size === 'string');
  if (free < 0 ? wanted !== perRow : perRow % wanted !== 0)
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      `"${spec.name}" takes ${wanted} numbers a row, the chosen columns are ${perRow}`,
    );
  const dims = [rows, ...known.map((size, i) => (i === free ? perRow / wanted : size))];
  if (spec.dtype === 'float32') return { data: Float32Array.from(data), dims };
  if (spec.dtype === 'float64') return { data, dims };
  if (!data.every(Number.isSafeInteger))
    throw new MedleyError('TRAINING_DATA_INVALID', `"${spec.name}" takes whole numbers`);
  if (spec.dtype === 'int32') return { data: Int32Array.from(data), dims };
  if (spec.dtype === 'int64') return { data: BigInt64Array.from(data, BigInt), dims };
  throw new MedleyError(
    'TRAINING_DATA_INVALID',
    `"${spec.name}" is of type ${spec.dtype}, which a table cannot hold`,
  );
}

function recordsOf(text: string): string[][] {
  try {
    return parse(text, { bom: true, skip_empty_lines: true });
  } catch (cause) {
    // The parser's message quotes cells; only its line is passed on.
    const line = (cause as { lines?: number }).lines ?? 0;
    throw new MedleyError('TRAINING_DATA_INVALID', `line ${line} is not comma-separated text`, {
      cause,
    });
  }
}
