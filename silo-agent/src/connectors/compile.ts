import { outcomeColumns, patientColumn, type Feature, type Study } from '@medley/study';
import type { CellRule, ColumnRule, Mapping, Operand } from './mapping.ts';
import type { Tally } from './tally.ts';

/** What the study needs one of its columns to be. */
export interface ColumnTarget {
  readonly name: string;
  readonly wants: 'number' | 'text';
  readonly feature?: Feature;
  /** An outcome's time; the other outcome columns are 0 or 1. */
  readonly isTime?: boolean;
  /** Tells patients apart; any text will do. */
  readonly isPatient?: boolean;
}

/** A study column, its rule and the source columns the rule reads. */
export interface CompiledColumn {
  readonly target: ColumnTarget;
  readonly rule: ColumnRule;
  readonly reads: readonly string[];
}

/** Study columns in order: features, then outcome, then the one that tells patients apart. */
export function targetsOf(study: Study): readonly ColumnTarget[] {
  const patient = patientColumn(study);
  return [
    ...study.features.map((feature): ColumnTarget => ({
      name: feature.name,
      wants: feature.type === 'number' ? 'number' : 'text',
      feature,
    })),
    ...outcomeColumns(study).map((name): ColumnTarget => ({
      name,
      wants: 'number',
      isTime: study.outcome.kind === 'event-within' && name === study.outcome.time,
    })),
    ...(patient === undefined
      ? []
      : [{ name: patient, wants: 'text', isPatient: true } satisfies ColumnTarget]),
  ];
}

/**
 * Checks the site's mapping against the study before any row is read. `source` names the connector
 * in faults: DATA_COLUMN_UNMAPPED for a study column without a rule, DATA_MAPPING_INVALID for a rule
 * that cannot give what its column needs. Undefined when there was any.
 */
export function compileMapping(
  study: Study,
  mapping: Mapping,
  source: string,
  tally: Tally,
): readonly CompiledColumn[] | undefined {
  const before = tally.faults.count;
  const compiled: CompiledColumn[] = [];
  for (const target of targetsOf(study)) {
    const place = { source, target: target.name };
    if (!Object.hasOwn(mapping, target.name)) {
      tally.fault({ ...place, code: 'DATA_COLUMN_UNMAPPED', rule: 'the mapping has no rule' });
      continue;
    }
    // There, by the test above.
    const rule = mapping[target.name]!;
    const faults = faultsOf(target, rule);
    for (const fault of faults) {
      tally.fault({ ...place, code: 'DATA_MAPPING_INVALID', rule: fault });
    }
    if (faults.length === 0) compiled.push({ target, rule, reads: readsOf(rule) });
  }
  return tally.faults.count > before ? undefined : compiled;
}

/** Operands in the order `readColumn` takes them. */
export function operandsOf(rule: ColumnRule): readonly CellRule[] {
  if ('max' in rule) return rule.max.map(cellOf);
  if ('choose' in rule) return [rule.choose.when, rule.choose.then, rule.choose.else].map(cellOf);
  return [rule];
}

function cellOf(operand: Operand): CellRule {
  return typeof operand === 'string' ? { from: operand } : operand;
}

function readsOf(rule: ColumnRule): readonly string[] {
  return [...new Set(operandsOf(rule).map(({ from }) => from))];
}

function faultsOf(target: ColumnTarget, rule: ColumnRule): readonly string[] {
  const kinds = ['from', 'max', 'choose'].filter((key) => key in rule);
  if (kinds.length !== 1) return ['exactly one of from, max and choose must be given'];
  if ('from' in rule) return cellFaults(target, rule);
  if (target.wants === 'text') return [`is a category: ${kinds.join('')} gives a number`];
  const operand: ColumnTarget = { name: target.name, wants: 'number' };
  return operandsOf(rule).flatMap((cell) => cellFaults(operand, cell));
}

function cellFaults(target: ColumnTarget, rule: CellRule): readonly string[] {
  const faults: string[] = [];
  const { map, bin, scale, offset } = rule;
  if (map && bin) faults.push('map and bin exclude each other');
  const reshapes = scale !== undefined || offset !== undefined;
  if (reshapes && (map !== undefined || (target.wants === 'text' && !bin))) {
    faults.push('scale and offset belong to numbers');
  }
  if (bin) faults.push(...binFaults(bin));
  faults.push(...unitFaults(target, rule));
  const given = bin?.labels ?? (map ? Object.values(map) : []);
  if (target.wants === 'number') {
    if (given.some((value) => typeof value !== 'number' || !Number.isFinite(value))) {
      faults.push('is a number, but the rule gives a text');
    }
  } else if (target.feature?.type === 'category') {
    const levels: readonly unknown[] = target.feature.categories;
    const unknown = given.filter((value) => !levels.includes(value));
    if (unknown.length > 0) {
      faults.push(`${unknown.map((u) => `"${u}"`).join(', ')} is no level of the study`);
    }
  }
  return faults;
}

function binFaults({ edges, labels }: NonNullable<CellRule['bin']>): readonly string[] {
  const faults: string[] = [];
  if (labels.length !== edges.length + 1) faults.push('bin needs one label more than edges');
  if (edges.some((edge, i) => i > 0 && edge <= edges[i - 1]!)) faults.push('edges must rise');
  return faults;
}

function unitFaults(target: ColumnTarget, rule: CellRule): readonly string[] {
  const wanted = target.feature?.type === 'number' ? target.feature.unit : undefined;
  const isOther = rule.unit !== undefined && wanted !== undefined && rule.unit !== wanted;
  if (!isOther || rule.scale !== undefined) return [];
  return [`the study's unit is ${wanted}, the source's ${rule.unit}: scale is missing`];
}
