import { Builder } from '../../graph/builder.ts';
import type { DType } from '../../graph/dtype.ts';
import {
  attributes as toAttributes,
  type Attribute,
  type AttributeInput,
  type Attributes,
  type Graph,
  type Value,
} from '../../graph/graph.ts';
import { floatTensor, type Tensor } from '../../graph/tensor.ts';
import { readModel } from '../../model.ts';
import { infer } from '../../ops/registry.ts';
import { Session } from '../../session.ts';
import { decodeModel, encodeModel } from '../codec.ts';
import { writeModel } from '../writer.ts';

/** One node to write: y = op(x, …). */
export interface Form {
  readonly op: string;
  /** Sizes of the float input x; `batch` at run time is 2. */
  readonly x?: readonly (number | string)[];
  /** Further inputs, as initializers; undefined for one that is not given. */
  readonly more?: readonly (Tensor | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInput | Floats>>;
  readonly outputs?: number;
  /** Type of the second output. */
  readonly second?: DType;
}

/** Sizes of x unless a form says otherwise. */
export const SIZES = [2, 3, 4, 4] as const;

/** The form as a file, stamped with an operator set. */
export function modelAt(version: number, form: Form): Uint8Array {
  const b = new Builder(infer);
  b.input('x', 'float32', form.x ?? SIZES);
  const more = (form.more ?? []).map((tensor, i) =>
    tensor === undefined ? undefined : b.constant(tensor, `w${i}`),
  );
  const names = Array.from({ length: form.outputs ?? 1 }, (_, i) => (i === 0 ? 'y' : `y${i}`));
  b.nodes.push({
    op: form.op,
    domain: '',
    name: 'node',
    inputs: ['x', ...more.map((value) => value?.name ?? '')],
    outputs: names,
    attributes: attributesOf(form.attributes ?? {}),
  });
  const outputs: Value[] = names.map((name, i) => ({
    name,
    dtype: i === 1 ? (form.second ?? 'float32') : 'float32',
    shape: undefined,
  }));
  const proto = decodeModel(
    writeModel(b.graph('node', outputs), { producer: 'test', version: '1' }),
  );
  proto.opsetImport = [{ domain: '', version: version as never }];
  return encodeModel(proto);
}

/** Attributes by the builder's shorthand, and lists of floats. */
function attributesOf(input: Readonly<Record<string, AttributeInput | Floats>>): Attributes {
  const entries = Object.entries(input).map(([name, value]): readonly [string, Attribute] =>
    typeof value === 'object' && 'floats' in value
      ? [name, { kind: 'floats', value: value.floats }]
      : [name, toAttributes({ [name]: value }).get(name)!],
  );
  return new Map(entries);
}

/** A list of floats as an attribute. */
export interface Floats {
  readonly floats: readonly number[];
}

/** The model at operator set 18, as a file. */
export function upgraded(bytes: Uint8Array): Uint8Array {
  const { graph, constants } = readModel(bytes);
  const whole: Graph = {
    ...graph,
    initializers: new Map([...graph.initializers, ...constants]),
  };
  return writeModel(whole, { producer: 'test', version: '1' });
}

/** What a model makes of numbers between −2 and 2 in the given sizes. */
export async function run(
  bytes: Uint8Array,
  x: readonly number[],
  names: readonly string[],
): Promise<readonly Result[]> {
  const session = await Session.open(bytes);
  const count = x.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7) * 2);
  const results = await session.run({ x: { dtype: 'float32', dims: x, data } }, names);
  await session.close();
  return names.map((name) => {
    const { dims: sizes, data: numbers } = results[name]!;
    return { dims: [...sizes], data: [...numbers].map(Number) };
  });
}

/** One output of a run. */
export interface Result {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

/** The largest difference of any element; infinite when sizes differ or something is no number. */
export function difference(ours: readonly Result[], theirs: readonly Result[]): number {
  const each = ours.flatMap(({ dims, data }, i) => {
    const other = theirs[i];
    if (other?.dims.join() !== dims.join()) return [Infinity];
    return data.map((value, at) => Math.abs(value - other.data[at]!));
  });
  const worst = Math.max(0, ...each);
  return Number.isNaN(worst) ? Infinity : worst;
}

/** A float vector. */
export const floats = (...values: number[]): Tensor => floatTensor([values.length], values);
/** A float tensor of numbers between −1 and 1. */
export const wave = (...dims: number[]): Tensor => {
  const count = dims.reduce((product, size) => product * size, 1);
  return floatTensor(
    dims,
    Float32Array.from({ length: count }, (_, i) => Math.cos(i * 0.9)),
  );
};
/** Scale, bias, mean and variance of three channels. */
export const batchNorm = [
  floats(1, 2, 3),
  floats(0, 1, -1),
  floats(0.1, 0.2, 0.3),
  floats(1, 2, 0.5),
];
