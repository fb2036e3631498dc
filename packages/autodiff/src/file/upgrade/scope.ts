import { isMedleyError, MedleyError } from '@medley/kit';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import type { Infer, Maybe } from '../../graph/infer.ts';
import { numbersOf, type Tensor } from '../../graph/tensor.ts';

/** Names and symbols, shared by a graph and its subgraphs. */
interface Names {
  readonly taken: Set<string>;
  readonly counts: Map<string, number>;
  symbols: number;
}

/** A graph being written node by node, with what is known of its values and those around it. */
export class Scope {
  readonly nodes: Node[] = [];
  readonly #infer: Infer;
  readonly #outer: Scope | undefined;
  readonly #names: Names;
  readonly #values = new Map<string, Value>();
  #hints: Graph['hints'];

  constructor(infer: Infer, outer?: Scope) {
    this.#infer = infer;
    this.#outer = outer;
    this.#names =
      outer === undefined ? { taken: new Set(), counts: new Map(), symbols: 0 } : outer.#names;
  }

  /** The scope of `graph` inside this one, with the values it starts with. */
  inner(graph: Graph): Scope {
    const scope = new Scope(this.#infer, this);
    scope.#hints = graph.hints;
    for (const input of graph.inputs) scope.#set(input);
    for (const [name, tensor] of graph.initializers) scope.constant(name, tensor);
    for (const { outputs } of graph.nodes) for (const name of outputs) this.#names.taken.add(name);
    return scope;
  }

  /** What is known of a value here or around. */
  value(name: string): Value | undefined {
    return this.#values.get(name) ?? this.#outer?.value(name);
  }

  /** A name that nothing has yet; linear over many calls with one wish. */
  free(wish: string): string {
    const { taken, counts } = this.#names;
    let count = counts.get(wish) ?? 1;
    let name = count === 1 ? wish : `${wish}.${count}`;
    while (taken.has(name)) name = `${wish}.${++count}`;
    counts.set(wish, count);
    taken.add(name);
    return name;
  }

  /** A value that is `tensor`; nothing is written. */
  constant(name: string, tensor: Tensor): void {
    this.#set(constant(name, tensor));
  }

  /** Adds a node and infers its outputs. Throws MODEL_INVALID when operands do not fit. */
  emit(node: Node): void {
    this.nodes.push(node);
    for (const value of this.#inferred(node)) if (value.name !== '') this.#set(value);
  }

  #set(value: Value): void {
    this.#names.taken.add(value.name);
    this.#values.set(value.name, value);
  }

  #inferred(node: Node): readonly Value[] {
    const [name = ''] = node.outputs;
    const tensor = node.attributes.get('value');
    if (node.op === 'Constant' && node.domain === '' && tensor?.kind === 'tensor') {
      return [constant(name, tensor.value)];
    }
    const inputs = node.inputs.map((input): Maybe =>
      input === '' ? undefined : this.value(input),
    );
    const found = this.#tried(node, inputs);
    return node.outputs.map((output, i): Value => {
      const known = found[i] ?? { dtype: undefined, shape: undefined };
      const hint = this.#hints?.get(output);
      const shape = known.shape ?? hint?.shape;
      return { ...known, name: output, dtype: known.dtype ?? hint?.dtype, shape };
    });
  }

  #tried(node: Node, inputs: readonly Maybe[]) {
    try {
      return this.#infer(node.domain, {
        op: node.op,
        attributes: node.attributes,
        inputs,
        outputCount: node.outputs.length,
        fresh: () => `?u${++this.#names.symbols}`,
      });
    } catch (cause) {
      const reason = isMedleyError(cause)
        ? cause.message
        : 'its attributes or inputs have no sense';
      throw new MedleyError('MODEL_INVALID', `node "${node.name}" (${node.op}): ${reason}`, {
        cause,
      });
    }
  }
}

function constant(name: string, tensor: Tensor): Value {
  const isVector = tensor.dtype === 'int64' && tensor.dims.length < 2;
  const content = isVector ? numbersOf(tensor) : undefined;
  return { name, dtype: tensor.dtype, shape: tensor.dims, tensor, content };
}
