import { MedleyError } from '@medley/kit';
import type { onnx } from '../generated/onnx.js';
import { callOf } from './call.ts';
import { safeInteger } from './codec.ts';
import { byteSize, dtypeOf, type DType } from '../graph/dtype.ts';
import type { Attribute, Graph, Node, Value } from '../graph/graph.ts';
import type { Dim } from '../graph/shape.ts';
import { bytesOf, elementCount, type Tensor } from '../graph/tensor.ts';

// Numbers of AttributeProto.AttributeType.
const KINDS: Readonly<Record<number, Attribute['kind']>> = {
  1: 'float',
  2: 'int',
  3: 'string',
  4: 'tensor',
  5: 'graph',
  6: 'floats',
  7: 'ints',
  8: 'strings',
};

// Number of TensorProto.DataLocation.EXTERNAL.
const EXTERNAL = 1;

/** Attributes of a function's call, which its nodes may name instead of having their own. */
export type References = ReadonlyMap<string, Attribute>;

const NONE: References = new Map();

/**
 * The graph of a decoded model in this package's form. Graph inputs that are also initializers
 * (files before IR version 4) are initializers here.
 *
 * Throws MODEL_DUPLICATE_NAME, MODEL_EXTERNAL_DATA, and MODEL_INVALID for values used before they
 * are made, tensors whose bytes do not fill their shape, and unknown types.
 */
export function readGraph(
  proto: onnx.IGraphProto,
  outer: ReadonlySet<string> = new Set(),
  references: References = NONE,
): Graph {
  const initializers = new Map<string, Tensor>();
  for (const tensor of proto.initializer ?? []) {
    const name = tensor.name ?? '';
    if (initializers.has(name)) {
      throw new MedleyError('MODEL_DUPLICATE_NAME', `two initializers are named "${name}"`);
    }
    initializers.set(name, readTensor(tensor, `initializer "${name}"`));
  }
  if ((proto.sparseInitializer ?? []).length > 0) {
    throw new MedleyError(
      'MODEL_INVALID',
      'a subgraph has sparse initializers, which are not read',
    );
  }
  const inputs = (proto.input ?? [])
    .map(readValue)
    .filter((value) => !initializers.has(value.name));
  const known = new Set([...outer, ...initializers.keys(), ...inputs.map((value) => value.name)]);
  const nodes = readNodes(proto.node ?? [], known, references);
  const outputs = (proto.output ?? []).map(readValue);
  for (const output of outputs) {
    if (!known.has(output.name)) {
      throw new MedleyError('MODEL_INVALID', `nothing makes the output "${output.name}"`);
    }
  }
  const hints = new Map(
    (proto.valueInfo ?? []).map((value) => [value.name ?? '', readValue(value)]),
  );
  return { name: proto.name ?? '', inputs, outputs, initializers, nodes, hints };
}

/** Reads nodes in order; their outputs are added to `known`. Throws as {@link readGraph} does. */
export function readNodes(
  protos: readonly onnx.INodeProto[],
  known: Set<string>,
  references: References = NONE,
): readonly Node[] {
  return protos.map((node, index) => readNode(node, index, known, references));
}

/** Reads one node and adds its outputs to `known`. */
function readNode(
  proto: onnx.INodeProto,
  index: number,
  known: Set<string>,
  references: References,
): Node {
  const op = proto.opType ?? '';
  const outputs = [...(proto.output ?? [])];
  const name =
    proto.name === '' || proto.name === undefined || proto.name === null ? `#${index}` : proto.name;
  const where = `node "${name}" (${op})`;
  const inputs = [...(proto.input ?? [])];
  for (const input of inputs) {
    if (input !== '' && !known.has(input)) {
      throw new MedleyError('MODEL_INVALID', `${where} uses "${input}" before anything makes it`);
    }
  }
  const attributes = readAttributes(proto, where, known, references);
  for (const output of outputs) {
    if (output === '') continue;
    if (known.has(output)) {
      throw new MedleyError(
        'MODEL_DUPLICATE_NAME',
        `${where} makes "${output}", which exists already`,
      );
    }
    known.add(output);
  }
  const domain = domainOf(proto.domain);
  const overload = proto.overload ? { overload: proto.overload } : {};
  return { op, domain, name, inputs, outputs, attributes, call: callOf(proto), ...overload };
}

function readAttributes(
  proto: onnx.INodeProto,
  where: string,
  known: ReadonlySet<string>,
  references: References,
): ReadonlyMap<string, Attribute> {
  const attributes = new Map<string, Attribute>();
  for (const attribute of proto.attribute ?? []) {
    const name = attribute.name ?? '';
    if (attributes.has(name)) {
      throw new MedleyError('MODEL_INVALID', `${where} has two attributes "${name}"`);
    }
    const reference = attribute.refAttrName ?? '';
    const read =
      reference === ''
        ? readAttribute(attribute, where, known, references)
        : references.get(reference);
    if (read !== undefined) attributes.set(name, read);
  }
  return attributes;
}

/** A domain as nodes of this package name it: the standard one is empty. */
export function domainOf(domain: string | null | undefined): string {
  return domain === 'ai.onnx' ? '' : (domain ?? '');
}

/** One attribute; `node` is for messages, `known` are the values its subgraphs may use. */
export function readAttribute(
  proto: onnx.IAttributeProto,
  node: string,
  known: ReadonlySet<string>,
  references: References = NONE,
): Attribute {
  const where = `attribute "${proto.name ?? ''}" of ${node}`;
  const type: number = proto.type ?? 0;
  const kind = KINDS[type];
  switch (kind) {
    case 'float':
      return { kind, value: proto.f ?? 0 };
    case 'int':
      return { kind, value: safeInteger(proto.i ?? 0, where) };
    case 'string':
      return { kind, value: text(proto.s) };
    case 'tensor':
      return { kind, value: readTensor(proto.t ?? {}, where) };
    case 'graph':
      return { kind, value: readGraph(proto.g ?? {}, known, references) };
    default:
      return readList(proto, kind, where);
  }
}

function readList(
  proto: onnx.IAttributeProto,
  kind: Attribute['kind'] | undefined,
  where: string,
): Attribute {
  switch (kind) {
    case 'floats':
      return { kind, value: [...(proto.floats ?? [])] };
    case 'ints':
      return { kind, value: (proto.ints ?? []).map((value) => listed(value, proto.name, where)) };
    case 'strings':
      return { kind, value: (proto.strings ?? []).map(text) };
    default:
      return { kind: 'opaque', value: where };
  }
}

/** Bounds of a Slice up to operator set 9 may be the largest 64-bit integer, for "to the end". */
function listed(
  value: Parameters<typeof safeInteger>[0],
  name: string | null | undefined,
  where: string,
): number {
  if (name !== 'starts' && name !== 'ends') return safeInteger(value, where);
  const most = Number.MAX_SAFE_INTEGER;
  return Math.min(Math.max(typeof value === 'number' ? value : value.toNumber(), -most), most);
}

/** A tensor of the file as bytes, whichever of its fields holds the elements. */
export function readTensor(proto: onnx.ITensorProto, where: string): Tensor {
  const location: number = proto.dataLocation ?? 0;
  if (location === EXTERNAL || (proto.externalData ?? []).length > 0) {
    throw new MedleyError('MODEL_EXTERNAL_DATA', `${where} keeps its elements in another file`);
  }
  const dtype = dtypeOf(proto.dataType ?? 0);
  if (dtype === undefined || dtype === 'string') {
    throw new MedleyError(
      'MODEL_INVALID',
      `${where} has the element type ${dtype ?? proto.dataType ?? 0}`,
    );
  }
  const dims = (proto.dims ?? []).map((dim) => safeInteger(dim, `a size of ${where}`));
  const count = elementCount(dims);
  if (dims.some((dim) => dim < 0) || !Number.isSafeInteger(count)) {
    throw new MedleyError(
      'MODEL_INVALID',
      `${where} has the impossible shape [${dims.join(', ')}]`,
    );
  }
  const bytes = elementBytes(proto, dtype);
  if (bytes.length !== byteSize(dtype, count)) {
    throw new MedleyError(
      'MODEL_INVALID',
      `${where} has ${bytes.length} bytes; ${dtype} [${dims.join(', ')}] takes ${byteSize(dtype, count)}`,
    );
  }
  return { dtype, dims, bytes };
}

function elementBytes(proto: onnx.ITensorProto, dtype: DType): Uint8Array {
  const raw = proto.rawData ?? new Uint8Array();
  if (raw.length > 0) return raw;
  // 64-bit lists keep their upper halves only through text.
  const big = (values: readonly { toString(): string }[] | null | undefined): bigint[] =>
    (values ?? []).map((value) => BigInt(value.toString()));
  const lists: Partial<Record<DType, () => NodeJS.TypedArray>> = {
    float32: () => Float32Array.from(proto.floatData ?? []),
    complex64: () => Float32Array.from(proto.floatData ?? []),
    float64: () => Float64Array.from(proto.doubleData ?? []),
    complex128: () => Float64Array.from(proto.doubleData ?? []),
    int64: () => BigInt64Array.from(big(proto.int64Data)),
    uint64: () => BigUint64Array.from(big(proto.uint64Data)),
    uint32: () => Uint32Array.from(big(proto.uint64Data), Number),
    int32: () => Int32Array.from(proto.int32Data ?? []),
    int16: () => Int16Array.from(proto.int32Data ?? []),
    uint16: () => Uint16Array.from(proto.int32Data ?? []),
    float16: () => Uint16Array.from(proto.int32Data ?? []),
    bfloat16: () => Uint16Array.from(proto.int32Data ?? []),
  };
  return bytesOf(lists[dtype]?.() ?? Uint8Array.from(proto.int32Data ?? []));
}

function readValue(proto: onnx.IValueInfoProto): Value {
  const tensor = proto.type?.tensorType;
  const shape = tensor?.shape?.dim?.map((dim): Dim => {
    // Names that start like ours would be taken for them.
    if (dim.dimParam !== undefined && dim.dimParam !== null && dim.dimParam !== '')
      return dim.dimParam.startsWith('?') ? '?' : dim.dimParam;
    if (dim.dimValue === undefined || dim.dimValue === null) return '?';
    const size = safeInteger(dim.dimValue, `a size of "${proto.name ?? ''}"`);
    // Some exporters write -1 or 0 for "any".
    return size > 0 ? size : '?';
  });
  const name = proto.name ?? '';
  return {
    name,
    dtype: dtypeOf(tensor?.elemType ?? 0),
    // Each unnamed size is a symbol of its own.
    shape: shape?.map((dim, axis) => (dim === '?' ? `?${name}.${axis}` : dim)),
  };
}

function text(bytes: Uint8Array | null | undefined): string {
  return new TextDecoder().decode(bytes ?? new Uint8Array());
}
