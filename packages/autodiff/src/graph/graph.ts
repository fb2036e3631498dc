import { MedleyError } from '@medley/kit';
import type { DType } from './dtype.ts';
import type { Dim, Shape } from './shape.ts';
import { numbersOf, type Tensor } from './tensor.ts';

/**
 * A value of a graph. `shape` is undefined when not even the rank is known. `content` holds the
 * elements of an integer vector or scalar as far as they are known; `tensor` a whole constant.
 */
export interface Value {
  readonly name: string;
  readonly dtype: DType | undefined;
  readonly shape: Shape | undefined;
  readonly content?: readonly Dim[] | undefined;
  readonly tensor?: Tensor | undefined;
}

/** What an attribute of each kind holds; ints are safe integers. */
interface AttributeKinds {
  readonly int: number;
  readonly float: number;
  readonly string: string;
  readonly ints: readonly number[];
  readonly floats: readonly number[];
  readonly strings: readonly string[];
  readonly tensor: Tensor;
  readonly graph: Graph;
  /** Something this package does not read (sparse tensors, types); such nodes are refused. */
  readonly opaque: string;
}

/** A node's attribute, typed as in the file. */
export type Attribute = {
  [Kind in keyof AttributeKinds]: { readonly kind: Kind; readonly value: AttributeKinds[Kind] };
}[keyof AttributeKinds];

export type Attributes = ReadonlyMap<string, Attribute>;

/** The call in a model's code that a node was exported from (see file/call.ts). */
export interface Call {
  readonly text: string;
  /** Path of the module that makes the call: `encoder.0.norm1`. */
  readonly scope: string;
  /** Parameters it uses, with `_` for the dots of their names. */
  readonly parameters: readonly string[];
  /** Tensors of the module that are no parameters, likewise. */
  readonly buffers: readonly string[];
}

/** One operator call; an empty name means "not given". */
export interface Node {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  /** A gradient rule may ask for a further output of the forward node. */
  readonly outputs: string[];
  readonly attributes: Attributes;
  readonly call?: Call | undefined;
  /** Which of several functions of one name a call means. */
  readonly overload?: string;
}

/** Nodes in topological order. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly nodes: readonly Node[];
  /** What the file says of values in between; believed where inference knows nothing. */
  readonly hints?: ReadonlyMap<string, Value> | undefined;
}

/** Known sizes of a value whose rank is known. Throws MODEL_UNSUPPORTED_OPERATOR otherwise. */
export function dims(value: Value): Shape {
  if (value.shape === undefined) {
    throw new MedleyError('MODEL_UNSUPPORTED_OPERATOR', `the rank of "${value.name}" is not known`);
  }
  return value.shape;
}

/** The elements of a constant as numbers, or undefined when the value is no constant. */
export function constantOf(value: Value | undefined): readonly number[] | undefined {
  if (value?.tensor !== undefined) return numbersOf(value.tensor);
  const content = value?.content;
  return content?.every((dim) => typeof dim === 'number') ? content : undefined;
}

/** An integer attribute, or `fallback` when absent. Throws MODEL_INVALID for another type. */
export function intOf(
  node: { readonly attributes: Attributes },
  name: string,
  fallback: number,
): number {
  return read(node, name, 'int') ?? fallback;
}

/** A float attribute, or `fallback` when absent. Throws MODEL_INVALID for another type. */
export function floatOf(
  node: { readonly attributes: Attributes },
  name: string,
  fallback: number,
): number {
  return read(node, name, 'float') ?? fallback;
}

/** A string attribute, or `fallback` when absent. Throws MODEL_INVALID for another type. */
export function stringOf(
  node: { readonly attributes: Attributes },
  name: string,
  fallback: string,
): string {
  return read(node, name, 'string') ?? fallback;
}

/** An integer-list attribute, undefined when absent. Throws MODEL_INVALID for another type. */
export function intsOf(
  node: { readonly attributes: Attributes },
  name: string,
): readonly number[] | undefined {
  return read(node, name, 'ints');
}

/** A list of floats, empty when absent. Throws MODEL_INVALID for another type. */
export function floatsAttribute(
  node: { readonly attributes: Attributes },
  name: string,
): readonly number[] {
  return read(node, name, 'floats') ?? [];
}

/** A list of strings, undefined when absent. Throws MODEL_INVALID for another type. */
export function stringsOf(
  node: { readonly attributes: Attributes },
  name: string,
): readonly string[] | undefined {
  return read(node, name, 'strings');
}

/** A subgraph. Throws MODEL_INVALID when absent or of another type. */
export function graphOf(node: { readonly attributes: Attributes }, name: string): Graph {
  const graph = read(node, name, 'graph');
  if (graph === undefined)
    throw new MedleyError('MODEL_INVALID', `the subgraph "${name}" is missing`);
  return graph;
}

function read<Kind extends keyof AttributeKinds>(
  node: { readonly attributes: Attributes },
  name: string,
  kind: Kind,
): AttributeKinds[Kind] | undefined {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return undefined;
  if (attribute.kind !== kind) {
    throw new MedleyError(
      'MODEL_INVALID',
      `attribute "${name}" is of type ${attribute.kind}, not ${kind}`,
    );
  }
  // The kinds agree, which the compiler does not follow through a type parameter.
  return attribute.value as AttributeKinds[Kind];
}

/** Attributes from plain values: integers become ints; wrap other numbers as `{ float: x }`. */
export type AttributeInput =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | Graph
  | Tensor;

export function attributes(input: Readonly<Record<string, AttributeInput>>): Attributes {
  return new Map(Object.entries(input).map(([name, value]) => [name, attribute(value)]));
}

function attribute(value: AttributeInput): Attribute {
  if (typeof value === 'number') return { kind: 'int', value };
  if (typeof value === 'string') return { kind: 'string', value };
  if (Array.isArray(value)) return { kind: 'ints', value: value as readonly number[] };
  if ('floats' in value) return { kind: 'floats', value: value.floats };
  if ('strings' in value) return { kind: 'strings', value: value.strings };
  if ('float' in value) return { kind: 'float', value: value.float };
  if ('nodes' in value) return { kind: 'graph', value };
  return { kind: 'tensor', value: value as Tensor };
}
