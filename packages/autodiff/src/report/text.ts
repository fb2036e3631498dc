import { printable, table } from '@medley/kit';
import type { TrainingReport } from './report.ts';

/** A report for people, a screen wide. */
export function reportText(report: TrainingReport): string {
  const { parameters, operators, unsupported, warnings, batchSize } = report;
  const roles = Object.entries(parameters).filter(([, { tensors }]) => tensors > 0);
  const least = report.isPartial ? 'at least ' : '';
  const lines = [
    table([
      ['WEIGHTS', 'TENSORS', 'ELEMENTS'],
      ...roles.map(([role, { tensors, elements }]) => [role, `${tensors}`, `${elements}`]),
    ]),
    '',
    `Operators   ${Object.entries(operators)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    `One step    batch of ${batchSize}: ${least}${scaled(report.flopsPerStep, 1000, FLOPS)}, ` +
      `${least}${scaled(report.activationBytes, 1024, BYTES)} of activations, ` +
      `${scaled(report.stateBytes, 1024, BYTES)} of weights and state`,
    ...warnings.map(({ sentence, advice }) => `Warning     ${sentence} ${advice}`),
    ...(unsupported.length === 0
      ? ['Everything in this model can be trained.']
      : [
          `${unsupported.length} nodes stand in the way of training:`,
          ...unsupported.map(
            ({ node, op, reason, advice }) => `  ${op} "${node}": ${reason}; ${advice}`,
          ),
        ]),
  ];
  return printable(lines.join('\n'));
}

const FLOPS = ['FLOP', 'kFLOP', 'MFLOP', 'GFLOP', 'TFLOP'];
const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

function scaled(value: number, base: number, units: readonly string[]): string {
  let [rest, unit] = [value, 0];
  while (rest >= base && unit < units.length - 1) [rest, unit] = [rest / base, unit + 1];
  return `${unit === 0 ? rest : rest.toPrecision(3)} ${units[unit]!}`;
}
