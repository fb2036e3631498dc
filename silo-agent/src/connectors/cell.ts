import type { DataCode } from './fault.ts';
import type { CellRule } from './mapping.ts';

/** Outcome of reading one cell: a value, a cell marked missing, or a broken rule. */
export type Cell =
  | { readonly kind: 'value'; readonly value: number | string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'fault'; readonly code: DataCode; readonly rule: string };

/** How a source writes numbers and gaps. */
export interface CellDialect {
  readonly decimal: '.' | ',';
  /** Texts that mean "no value", compared after trimming. */
  readonly markers: ReadonlySet<string>;
}

const MISSING: Cell = { kind: 'missing' };

/** Reads one cell by its rule. `wants` is what the study needs where the rule has no map or bin. */
export function readCell(
  text: string,
  rule: CellRule,
  wants: 'number' | 'text',
  dialect: CellDialect,
): Cell {
  const trimmed = text.trim();
  if (dialect.markers.has(trimmed)) return MISSING;
  if (rule.map) return mapped(trimmed, rule.map);
  if (rule.bin) {
    const { edges, labels } = rule.bin;
    const cell = numeric(trimmed, rule, dialect);
    if (cell.kind !== 'value') return cell;
    const index = edges.findIndex((edge) => Number(cell.value) <= edge);
    // In range: compileMapping demands one label more than edges.
    return { kind: 'value', value: labels[index === -1 ? edges.length : index]! };
  }
  return wants === 'number' ? numeric(trimmed, rule, dialect) : { kind: 'value', value: trimmed };
}

function mapped(text: string, map: NonNullable<CellRule['map']>): Cell {
  if (Object.hasOwn(map, text)) return { kind: 'value', value: map[text]! };
  const rule = `must be one of the ${Object.keys(map).length} texts of its map`;
  return { kind: 'fault', code: 'DATA_CATEGORY_UNKNOWN', rule };
}

function numeric(text: string, rule: CellRule, dialect: CellDialect): Cell {
  const plain = dialect.decimal === ',' ? text.replace(',', '.') : text;
  const hasForeignPoint = dialect.decimal === ',' && text.includes('.');
  if (/^[+-]?(?:nan|inf|infinity|1\.#\w+)$/i.test(plain)) return notFinite();
  if (hasForeignPoint || !/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(plain)) {
    const mark = dialect.decimal === ',' ? 'a decimal comma' : 'a decimal point';
    const message = `must be a number written with ${mark} and no thousands separator`;
    return { kind: 'fault', code: 'DATA_VALUE_INVALID', rule: message };
  }
  const value = Number(plain) * (rule.scale ?? 1) + (rule.offset ?? 0);
  return Number.isFinite(value) ? { kind: 'value', value } : notFinite();
}

function notFinite(): Cell {
  return { kind: 'fault', code: 'DATA_NOT_FINITE', rule: 'must be a finite number' };
}
