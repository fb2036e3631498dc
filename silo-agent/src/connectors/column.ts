import { readCell, type Cell, type CellDialect } from './cell.ts';
import { operandsOf, type ColumnTarget, type CompiledColumn } from './compile.ts';
import type { DataCode } from './fault.ts';

/**
 * One study column of one row: reads the operands, applies the rule, checks the study's domain.
 * `cellAt` gives the text under a source column.
 */
export function readColumn(
  column: CompiledColumn,
  cellAt: (source: string) => string,
  dialect: CellDialect,
): Cell {
  const { rule, target } = column;
  const cells = operandsOf(rule).map((cell) =>
    readCell(cellAt(cell.from), cell, target.wants, dialect),
  );
  const made = 'from' in rule ? cells[0]! : combine(cells, 'max' in rule);
  return made.kind === 'value' ? inDomain(target, made) : made;
}

/** `max` of all cells, or `choose` over [when, then, else]; only cells that count can be at fault. */
function combine(cells: readonly Cell[], isMax: boolean): Cell {
  if (isMax) {
    const broken = cells.find((cell) => cell.kind !== 'value');
    if (broken) return broken;
    const values = cells.map((cell) => (cell.kind === 'value' ? Number(cell.value) : 0));
    return { kind: 'value', value: Math.max(...values) };
  }
  // Three cells: operandsOf gives when, then, else for choose.
  const [when, then, otherwise] = [cells[0]!, cells[1]!, cells[2]!];
  if (when.kind !== 'value') return when;
  return when.value === 0 ? otherwise : then;
}

function inDomain(target: ColumnTarget, cell: Cell & { readonly kind: 'value' }): Cell {
  const { feature } = target;
  if (target.isPatient) return cell;
  if (feature?.type === 'category') {
    if (feature.categories.includes(String(cell.value))) return cell;
    return fault('DATA_CATEGORY_UNKNOWN', `must be one of ${feature.categories.join(', ')}`);
  }
  const value = Number(cell.value);
  if (feature) {
    const [low, high] = feature.range;
    if (value >= low && value <= high) return cell;
    const unit = feature.unit === undefined ? '' : ` ${feature.unit}`;
    return fault('DATA_OUT_OF_RANGE', `must lie between ${low} and ${high}${unit}`);
  }
  if (target.isTime) {
    return value >= 0 ? cell : fault('DATA_OUT_OF_RANGE', 'is a time and must not be negative');
  }
  return value === 0 || value === 1 ? cell : fault('DATA_VALUE_INVALID', 'must be 0 or 1');
}

function fault(code: DataCode, rule: string): Cell {
  return { kind: 'fault', code, rule };
}
