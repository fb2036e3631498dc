import { permutation, seededRng } from '@medley/kit';
import { writeModel } from '../../file/writer.ts';
import { gradient } from '../../gradient.ts';
import { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/graph.ts';
import type { Dim } from '../../graph/shape.ts';
import { doubleTensor, floatTensor, type Tensor } from '../../graph/tensor.ts';
import { Session, type RuntimeTensor } from '../../session.ts';
import { infer } from '../registry.ts';
import type { Case } from './case.ts';

/** Names the size of an axis of an operand. */
type NameOf = (operand: number, axis: number, size: number) => Dim;

const WRITER = { producer: 'test', version: '1' };
const PRECISION = {
  float32: { step: 0.02, tolerance: 1e-3, array: Float32Array, tensor: floatTensor },
  float64: { step: 0.002, tolerance: 1e-6, array: Float64Array, tensor: doubleTensor },
} as const;

type Numbers = Float32Array | Float64Array;

/**
 * Compares the gradients of a case with central differences: with sizes known, with the batch by name, and
 * with every size by a name of its own. Throws an Error that names the case.
 */
export async function checkCase(sweep: Case): Promise<void> {
  await check(sweep, (_, __, size) => size);
  if (sweep.staticOnly === true) return;
  await check(sweep, (_, axis, size) => (axis === 0 && size === 2 ? 'batch' : size));
  await check(sweep, (operand, axis) => `size_${operand}_${axis}`);
}

const shapesOf = (sweep: Case): readonly (readonly number[])[] =>
  sweep.operands.filter((operand) => Array.isArray(operand)) as (readonly number[])[];

/** Distinct values, at least four steps apart from each other and from every kink. */
function valuesOf(sweep: Case): Numbers[] {
  const { step, array } = PRECISION[sweep.dtype ?? 'float32'];
  const shapes = shapesOf(sweep);
  const counts = shapes.map((shape) => shape.reduce((product, dim) => product * dim, 1));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const { from = -2, to = 2, kinks = [] } = sweep;
  const order = permutation(seededRng(`${sweep.op} ${JSON.stringify(shapes)}`), total);
  const grid = Array.from(order, (at) => from + ((to - from) * (at + 0.37)) / total);
  const clear = grid.map((value) => {
    const near = kinks.find((kink) => Math.abs(value - kink) < 4 * step);
    return near === undefined ? value : near + (value < near ? -4 : 4) * step;
  });
  let start = 0;
  return counts.map((count) => array.from(clear.slice(start, (start += count))));
}

/** The node as a model `x0, x1, … -> y`, with sizes named by `nameOf`. */
function modelOf(sweep: Case, nameOf: NameOf) {
  const b = new Builder(infer);
  const dtype = sweep.dtype ?? 'float32';
  const feeds: { name: string; dims: readonly number[]; isOpen: boolean }[] = [];
  const inputs = sweep.operands.map((operand, at) => {
    if (operand === undefined) return undefined;
    if (!Array.isArray(operand)) return b.constant(operand as Tensor);
    const dims = operand as readonly number[];
    const index = feeds.length;
    const isOpen = sweep.constants?.includes(at) !== true;
    feeds.push({ name: `x${index}`, dims, isOpen });
    return b.input(
      `x${index}`,
      dtype,
      dims.map((size, axis) => nameOf(index, axis, size)),
    );
  });
  const given = inputs.filter((_, at) => sweep.captured?.includes(at) !== true);
  const made = b.many(sweep.op, given, sweep.attributes ?? {}, sweep.outputs ?? 1, 'y');
  return { b, feeds, ys: (sweep.targets ?? [0]).map((at) => made[at]!) };
}

/** Σ weight·output over all outputs, with unequal weights, so that errors cannot cancel in the sum. */
const weightOf = (i: number): number => 0.5 + ((i * 7) % 5) / 4;

async function check(sweep: Case, nameOf: NameOf): Promise<void> {
  const { step, tolerance, tensor } = PRECISION[sweep.dtype ?? 'float32'];
  const values = valuesOf(sweep);
  const { b, feeds, ys } = modelOf(sweep, nameOf);
  const names = ys.map(({ name }) => name);
  const plain = await Session.open(writeModel(b.graph('node', ys), WRITER));
  const feed = (list: readonly Numbers[]): Record<string, RuntimeTensor> =>
    Object.fromEntries(
      feeds.map(({ name, dims }, i) => [
        name,
        { dtype: sweep.dtype ?? 'float32', dims, data: list[i]! },
      ]),
    );
  const base = await plain.run(feed(values), names);
  const weighted = ys.map((y): Value => {
    const { dims, data } = base[y.name]!;
    return b.op('Mul', [
      y,
      b.constant(
        tensor(
          dims,
          Array.from({ length: data.length }, (_, i) => weightOf(i)),
        ),
      ),
    ]);
  });
  const open = feeds.filter(({ isOpen }) => isOpen).map(({ name }) => name);
  const bytes = writeModel(b.graph('node', [...ys, ...weighted]), WRITER);
  const targets = weighted.map(({ name }) => name);
  const ours = await Session.open(gradient(bytes, targets, open));
  const found = await ours.run(
    feed(values),
    open.map((name) => `${name}_grad`),
  );
  const objective = async (list: readonly Numbers[]): Promise<number> => {
    const results = await plain.run(feed(list), names);
    let sum = 0;
    for (const name of names)
      results[name]!.data.forEach((value: number | bigint, i: number) => {
        sum += Number(value) * weightOf(i);
      });
    return sum;
  };
  let worst = 0;
  for (const [i, { name, dims, isOpen }] of feeds.entries()) {
    if (!isOpen) continue;
    const result = found[`${name}_grad`]!;
    if (result.dims.join() !== dims.join())
      throw new Error(`${sweep.op}: gradient [${result.dims.join()}]`);
    const numeric = await numericGradient(values, i, step, objective);
    const scale = numeric.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    numeric.forEach((value, k) => {
      const error = Math.abs(value - Number(result.data[k])) / scale;
      worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
    });
  }
  await Promise.all([plain.close(), ours.close()]);
  if (worst >= tolerance) {
    const { op, attributes = {}, operands } = sweep;
    throw new Error(`off by ${worst}: ${op} ${JSON.stringify({ attributes, operands })}`);
  }
}

/** Central differences of fourth order (Abramowitz and Stegun 25.3.6). */
async function numericGradient(
  values: readonly Numbers[],
  operand: number,
  step: number,
  objective: (list: readonly Numbers[]) => Promise<number>,
): Promise<number[]> {
  const slopes: number[] = [];
  for (let k = 0; k < values[operand]!.length; k++) {
    let slope = 0;
    for (const [shift, weight] of [
      [-2, 1],
      [-1, -8],
      [1, 8],
      [2, -1],
    ] as const) {
      const moved = values[operand]!.slice();
      moved[k] = moved[k]! + shift * step;
      slope += weight * (await objective(values.map((list, i) => (i === operand ? moved : list))));
    }
    slopes.push(slope / (12 * step));
  }
  return slopes;
}
