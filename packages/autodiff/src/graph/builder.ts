import { MedleyError } from '@medley/kit';
import type { DType } from './dtype.ts';
import {
  attributes as toAttributes,
  dims,
  type AttributeInput,
  type Graph,
  type Node,
  type Value,
} from './graph.ts';
import type { Infer, Inferred, Maybe } from './infer.ts';
import { isStatic, sameShape, type Shape } from './shape.ts';
import { doubleTensor, floatTensor, intTensor, numbersOf, type Tensor } from './tensor.ts';

/** Names and symbols that a builder and its subgraphs share, so that none hides another. */
interface Names {
  readonly taken: Set<string>;
  count: number;
}

/**
 * Writes a graph node by node and knows the type and shape of every value it made. Names are given
 * by a counter: the same calls give the same graph.
 */
export class Builder {
  readonly nodes: Node[] = [];
  readonly values = new Map<string, Value>();
  readonly #initializers = new Map<string, Tensor>();
  readonly #constants = new Map<string, Value>();
  readonly #shapes = new Map<string, Value>();
  readonly #inputs: Value[] = [];
  readonly #reserved = new Set<string>();
  readonly #names: Names;
  readonly #infer: Infer;
  readonly #outer: Builder | undefined;

  constructor(infer: Infer, names: Names = { taken: new Set(), count: 0 }, outer?: Builder) {
    this.#infer = infer;
    this.#names = names;
    this.#outer = outer;
  }

  /** A builder for a subgraph, which may use the values of this one. */
  subgraph(): Builder {
    return new Builder(this.#infer, this.#names, this);
  }

  /** The value of this name, made here or in a graph around. */
  value(name: string): Value | undefined {
    return this.values.get(name) ?? this.#outer?.value(name);
  }

  /** The constants of this graph by name. */
  get initializers(): ReadonlyMap<string, Tensor> {
    return this.#initializers;
  }

  /** A name nothing has yet: `wish` itself when it is free. */
  unique(wish: string): string {
    let name = wish;
    while (this.#names.taken.has(name)) name = `${wish}_${++this.#names.count}`;
    this.#names.taken.add(name);
    return name;
  }

  /** A symbol for a size that nothing else is known to share. */
  readonly fresh = (): string => `?${++this.#names.count}`;

  /** Keeps names for {@link named}: nothing else gets them. */
  reserve(names: readonly string[]): void {
    for (const name of names) {
      this.#names.taken.add(name);
      this.#reserved.add(name);
    }
  }

  /** A graph input, under exactly this name. Throws MODEL_DUPLICATE_NAME when it is taken. */
  input(name: string, dtype: DType, shape: Shape): Value {
    if (this.#names.taken.has(name)) {
      throw new MedleyError('MODEL_DUPLICATE_NAME', `the name "${name}" is taken`);
    }
    const value = this.#record({ name: this.unique(name), dtype, shape });
    this.#inputs.push(value);
    return value;
  }

  /** A graph input under any free name, for subgraphs, whose inputs are known by their places. */
  argument(wish: string, dtype: DType | undefined, shape: Shape | undefined): Value {
    const value = this.#record({ name: this.unique(wish), dtype, shape });
    this.#inputs.push(value);
    return value;
  }

  /**
   * Writes other nodes in the place of `node`: `write` gives the values that stand for its outputs,
   * in order; absent ones were not used. Returns the nodes written.
   */
  replace(node: Node, write: () => readonly Maybe[]): readonly Node[] {
    const at = this.nodes.indexOf(node);
    const mark = this.nodes.length;
    // A size that a later node took may not be used earlier.
    const shapes = new Map(this.#shapes);
    this.#shapes.clear();
    const made = write();
    this.#shapes.clear();
    for (const [name, value] of shapes) this.#shapes.set(name, value);
    node.outputs.forEach((output, i) => {
      const value = made[i];
      if (output === '' || value === undefined) return;
      this.emit(identity(value, output, this.unique(`name_${output}`)), [value]);
      this.#record({ ...value, name: output });
    });
    const nodes = this.nodes.splice(mark);
    this.nodes.splice(at, 1, ...nodes);
    return nodes;
  }

  /** A constant; equal constants without a wished name are one. */
  constant(tensor: Tensor, wish?: string): Value {
    const key =
      wish ??
      `${tensor.dtype}[${tensor.dims.join()}]${Buffer.from(tensor.bytes).toString('latin1')}`;
    const known = this.#constants.get(key);
    if (known !== undefined && wish === undefined) return known;
    const numbers =
      tensor.dtype === 'int64' && tensor.dims.length < 2 ? numbersOf(tensor) : undefined;
    const value = this.#record({
      name: this.unique(wish ?? `constant_${++this.#names.count}`),
      dtype: tensor.dtype,
      shape: tensor.dims,
      content: numbers,
      tensor,
    });
    this.#initializers.set(value.name, tensor);
    if (wish === undefined) this.#constants.set(key, value);
    return value;
  }

  /** A scalar of the type of `like` (float32 or float64). */
  scalar(number: number, like?: Value): Value {
    const make = like?.dtype === 'float64' ? doubleTensor : floatTensor;
    return this.constant(make([], [number]));
  }

  /** An int64 vector. */
  ints(numbers: readonly number[]): Value {
    return this.constant(intTensor([numbers.length], numbers));
  }

  /** One operator call with one output, under the name `wish` or a counted one. */
  op(
    op: string,
    inputs: readonly Maybe[],
    attributes: Readonly<Record<string, AttributeInput>> = {},
    wish?: string,
  ): Value {
    return this.many(op, inputs, attributes, 1, wish)[0]!;
  }

  /** One operator call with `count` outputs. */
  many(
    op: string,
    inputs: readonly Maybe[],
    attributes: Readonly<Record<string, AttributeInput>>,
    count: number,
    wish = `${op}_${++this.#names.count}`,
  ): readonly Value[] {
    const outputs = Array.from({ length: count }, (_, i) =>
      this.unique(i === 0 ? wish : `${wish}.${i}`),
    );
    const node: Node = {
      op,
      domain: '',
      name: outputs[0]!,
      inputs: inputs.map((input) => input?.name ?? ''),
      outputs,
      attributes: toAttributes(attributes),
    };
    return this.emit(node, inputs);
  }

  /** Adds a ready node whose names are free, with its input values; returns its outputs. */
  emit(node: Node, inputs: readonly Maybe[]): readonly Value[] {
    this.nodes.push(node);
    const known = this.#infer(node.domain, {
      op: node.op,
      attributes: node.attributes,
      inputs,
      outputCount: node.outputs.length,
      fresh: this.fresh,
    });
    return node.outputs.map((name, i) => {
      const inferred: Inferred = known[i] ?? { dtype: undefined, shape: undefined };
      return name === '' ? { name, ...inferred } : this.#record({ name, ...inferred });
    });
  }

  /** A value under a further name known to the caller's own bookkeeping; nothing is written. */
  adopt(value: Value): Value {
    return this.#record(value);
  }

  /** `value` under the exact `name`, for an output of the graph. */
  named(value: Value, name: string): Value {
    const label = this.unique(`name_${name}`);
    const free = this.#reserved.delete(name) ? name : this.unique(name);
    return this.emit(identity(value, free, label), [value])[0]!;
  }

  /** The sizes of `value` as an int64 vector: a constant when all are known. */
  shapeOf(value: Value): Value {
    const shape = dims(value);
    if (isStatic(shape)) return this.ints(shape);
    const known = this.#shapes.get(value.name);
    if (known !== undefined) return known;
    const made = this.op('Shape', [value]);
    this.#shapes.set(value.name, made);
    return made;
  }

  /** `value` with the sizes of `like`, which has as many elements. */
  reshapeLike(value: Value, like: Value): Value {
    if (sameShape(dims(value), dims(like))) return value;
    const shaped = this.op('Reshape', [value, this.shapeOf(like)]);
    return this.#record({ ...shaped, shape: dims(like) });
  }

  /** The finished graph. */
  graph(name: string, outputs: readonly Value[]): Graph {
    for (const output of outputs) {
      if (output.dtype === undefined) {
        throw new MedleyError(
          'MODEL_UNSUPPORTED_OPERATOR',
          `the type of "${output.name}" is not known`,
        );
      }
    }
    return {
      name,
      inputs: this.#inputs,
      outputs,
      initializers: this.#initializers,
      nodes: this.nodes,
    };
  }

  #record(value: Value): Value {
    this.values.set(value.name, value);
    return value;
  }
}

function identity(value: Value, output: string, name: string): Node {
  return {
    op: 'Identity',
    domain: '',
    name,
    inputs: [value.name],
    outputs: [output],
    attributes: new Map(),
  };
}
