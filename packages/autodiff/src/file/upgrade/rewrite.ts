import { MedleyError } from '@medley/kit';
import type { AttributeInput, Attributes, Node, Value } from '../../graph/graph.ts';
import { floatTensor, intTensor, type Tensor } from '../../graph/tensor.ts';

/** What a rule may use to write the nodes that replace one node. */
export interface Rewrite {
  readonly node: Node;
  /** Input `index` of the node; an empty name when it is not given. */
  readonly input: (index: number) => string;
  /** What is known of a value by its name: type, sizes, elements of a constant. */
  readonly value: (name: string) => Value | undefined;
  /** A new constant; returns its name. */
  readonly constant: (tensor: Tensor) => string;
  /** A node whose single output gets a new name, which is returned. */
  readonly op: (
    op: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, AttributeInput>>,
  ) => string;
  /** A node with `count` outputs under new names, which are returned. */
  readonly many: (
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeInput>>,
    count: number,
  ) => readonly string[];
  /** Gives output `index` of the node, where it is used, the value of that name. */
  readonly bind: (index: number, value: string) => void;
  /** A node with the outputs of the one that is replaced; the last node a rule writes. */
  readonly finish: (
    changes: Partial<Pick<Node, 'op' | 'inputs' | 'outputs' | 'attributes'>>,
  ) => void;
}

/** Replaces one node by nodes of operator set 18. */
export type Rule = (r: Rewrite) => void;

/** A rule and the operator sets of files to which it applies: from `since` to before `before`. */
export interface Entry {
  readonly op: string;
  readonly since?: number;
  readonly before?: number;
  readonly rule: Rule;
}

/** The same rule for several operators. */
export function forEach(ops: readonly string[], entry: Omit<Entry, 'op'>): readonly Entry[] {
  return ops.map((op) => ({ op, ...entry }));
}

/** The attributes of a node without those named. */
export function without(node: Pick<Node, 'attributes'>, ...names: readonly string[]): Attributes {
  return new Map([...node.attributes].filter(([name]) => !names.includes(name)));
}

/** A constant int64 vector. */
export function ints(r: Rewrite, values: readonly number[]): string {
  return r.constant(intTensor([values.length], values));
}

/** A constant float32 scalar. */
export function scalar(r: Rewrite, value: number): string {
  return r.constant(floatTensor([], [value]));
}

/** A constant scalar of the type of the value `like`. */
export function scalarLike(r: Rewrite, value: number, like: string): string {
  const made = scalar(r, value);
  const dtype = r.value(like)?.dtype ?? 'float32';
  return dtype === 'float32' ? made : r.op('CastLike', [made, like]);
}

/** The rank of a value. Throws MODEL_UNSUPPORTED_OPERATOR when it is not known. */
export function rankOf(r: Rewrite, name: string): number {
  const rank = r.value(name)?.shape?.length;
  if (rank === undefined) throw refused(r, `the rank of "${name}" is not known`);
  return rank;
}

/** The error for a form of a node that cannot be said in operator set 18. */
export function refused({ node }: Pick<Rewrite, 'node'>, reason: string): MedleyError {
  return new MedleyError(
    'MODEL_UNSUPPORTED_OPERATOR',
    `node "${node.name}" (${node.op}): ${reason}; export the model with operator set 18`,
  );
}
