import { MedleyError } from '@medley/kit';
import { checkLabels } from '../loss/labels.ts';
import { shapeText, type Shape } from '../graph/shape.ts';
import type { Elements, RuntimeTensor } from '../session.ts';
import { checkInput } from './finite.ts';
import type { DataSpec, TrainingManifest } from './manifest.ts';

/** Elements alone, whose shape follows from the model's, or with their shape. */
export type TensorInput = Elements | { readonly data: Elements; readonly dims: readonly number[] };

/** The one input of the model, or all of them by name; the first size of each is the number of rows. */
export type Inputs = TensorInput | Readonly<Record<string, TensorInput>>;

const ARRAYS: Readonly<Record<string, new (values: number) => Elements>> = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
};

/** Rows of data in the runtime's form, by graph input name. */
export interface Rows {
  readonly count: number;
  readonly feeds: Readonly<Record<string, RuntimeTensor>>;
}

/**
 * The data of a call, checked against the manifest. Nothing is copied, except for labels of another
 * integer type. Throws TRAINING_DATA_INVALID.
 */
export function rowsOf(manifest: TrainingManifest, inputs: Inputs, labels: TensorInput): Rows {
  const byName = isSingle(inputs) ? { [manifest.inputs[0]?.name ?? '']: inputs } : inputs;
  const feeds: Record<string, RuntimeTensor> = {};
  let count: number | undefined;
  manifest.inputs.forEach((spec, i) => {
    const input = byName[spec.name];
    if (input === undefined)
      throw new MedleyError('TRAINING_DATA_INVALID', `the input "${spec.name}" is missing`);
    const tensor = tensorOf(spec, input);
    checkInput(spec, tensor.data);
    count ??= tensor.dims[0]!;
    sameRows(spec, tensor, count);
    feeds[manifest.feeds[i]!] = tensor;
  });
  const tensor = tensorOf(manifest.labels, asLabels(manifest, labels));
  sameRows(manifest.labels, tensor, (count ??= tensor.dims[0]!));
  checkLabels(manifest.labelRule, tensor.data);
  feeds['labels'] = tensor;
  return { count, feeds };
}

function isSingle(inputs: Inputs): inputs is TensorInput {
  return (
    ArrayBuffer.isView(inputs) ||
    ('data' in inputs && 'dims' in inputs && Array.isArray(inputs.dims))
  );
}

function sameRows(spec: DataSpec, tensor: RuntimeTensor, count: number): void {
  if (tensor.dims[0] !== count) {
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      `"${spec.name}" has ${tensor.dims[0] ?? 0} rows, not ${count}`,
    );
  }
}

function tensorOf(spec: DataSpec, input: TensorInput): RuntimeTensor {
  const data = ArrayBuffer.isView(input) ? input : input.data;
  const dims = ArrayBuffer.isView(input) ? dimsOf(spec, data.length) : input.dims;
  const wanted = ARRAYS[spec.dtype];
  if (wanted === undefined || !(data instanceof wanted)) {
    throw new MedleyError('TRAINING_DATA_INVALID', `"${spec.name}" takes ${spec.dtype} elements`);
  }
  const count = dims.reduce((product, dim) => product * dim, 1);
  const fits =
    dims.length === spec.shape.length &&
    spec.shape.every((dim, i) => i === 0 || typeof dim === 'string' || dim === dims[i]);
  if (!fits || count !== data.length) {
    const has = `${data.length} elements as ${shapeText(dims)}`;
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      `"${spec.name}" takes ${shapeText(spec.shape)}, not ${has}`,
    );
  }
  return { dtype: spec.dtype, dims, data };
}

function dimsOf(spec: DataSpec, length: number): readonly number[] {
  const rest: Shape = spec.shape.slice(1);
  const known = rest.filter((dim) => typeof dim === 'number');
  const perRow = known.reduce((product, dim) => product * dim, 1);
  if (known.length !== rest.length || perRow === 0 || length % perRow !== 0) {
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      `${length} elements do not say the shape of "${spec.name}" ${shapeText(spec.shape)}: give { data, dims }`,
    );
  }
  return [length / perRow, ...known];
}

/** Class indices may come as any integer array; the graphs take int32. */
function asLabels(manifest: TrainingManifest, labels: TensorInput): TensorInput {
  if (manifest.labels.dtype !== 'int32') return labels;
  if (ArrayBuffer.isView(labels)) return labels instanceof Int32Array ? labels : integers(labels);
  return { data: integers(labels.data), dims: labels.dims };
}

function integers(data: Elements): Int32Array {
  return data instanceof Int32Array ? data : Int32Array.from(data as ArrayLike<number>, Number);
}
