import { MedleyError } from '@medley/kit';
import type { LabelRule } from './loss.ts';

/**
 * Checks labels, laid out row by row, against the rule of their loss; without one they must be finite.
 * Throws TRAINING_DATA_INVALID, without naming a value.
 */
export function checkLabels(rule: LabelRule | undefined, labels: ArrayLike<number | bigint>): void {
  if (rule?.kind === 'survival') {
    checkSurvival(labels, rule.strata);
    return;
  }
  const { isInside, form } = wanted(rule);
  for (let i = 0; i < labels.length; i++) {
    if (!isInside(Number(labels[i])))
      throw new MedleyError(
        'TRAINING_DATA_INVALID',
        `label ${i} is outside: labels must be ${form}`,
      );
  }
}

function wanted(rule: Exclude<LabelRule, { kind: 'survival' }> | undefined): {
  readonly isInside: (label: number) => boolean;
  readonly form: string;
} {
  if (rule === undefined) return { isInside: Number.isFinite, form: 'finite numbers' };
  if (rule.kind === 'classes') {
    const { count = Infinity, ignore } = rule;
    const rest = ignore === undefined ? '' : `, or ${ignore} where nothing counts`;
    return {
      isInside: (label) => (label >= 0 && label < count) || label === ignore,
      form: `class indices from 0 to ${count - 1}${rest}`,
    };
  }
  const { low = -Infinity, high = Infinity } = rule;
  return {
    isInside: (label) => Number.isFinite(label) && label >= low && label <= high,
    form: `numbers ${low === -Infinity ? '' : `from ${low} `}${high === Infinity ? '' : `to ${high}`}`,
  };
}

function checkSurvival(labels: ArrayLike<number | bigint>, strata: number): void {
  const columns = strata > 1 ? 3 : 2;
  const refuse = (row: number, what: string): MedleyError =>
    new MedleyError('TRAINING_DATA_INVALID', `labels of row ${row}: ${what}`);
  for (let at = 0; at < labels.length; at += columns) {
    const row = at / columns;
    const [event, time] = [labels[at], labels[at + 1]];
    if (event !== 0 && event !== 1) throw refuse(row, 'the event must be 0 or 1');
    if (!Number.isFinite(time)) throw refuse(row, 'the time must be finite');
    const stratum = columns === 3 ? Number(labels[at + 2]) : 0;
    if (!Number.isInteger(stratum) || stratum < 0 || stratum >= strata)
      throw refuse(row, `the stratum must be a whole number from 0 to ${strata - 1}`);
  }
}
