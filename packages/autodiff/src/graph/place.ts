import { isMedleyError, MedleyError } from '@medley/kit';
import type { Builder } from './builder.ts';
import type { Graph, Node, Value } from './graph.ts';
import type { Maybe } from './infer.ts';
import type { Tensor } from './tensor.ts';

/** A forward graph written into a builder. */
export interface Placed {
  /** Values by their names in the model. */
  readonly values: ReadonlyMap<string, Value>;
  /** The nodes as written, and beside each its name in the model. */
  readonly nodes: readonly { readonly node: Node; readonly source: Node }[];
}

/**
 * Writes the nodes of `graph` into `b`, with the names they have unless those are taken. `bound`
 * gives the values that stand for graph inputs and weights; every other initializer becomes a
 * constant.
 *
 * Throws MODEL_INVALID when operands do not fit together.
 */
export function place(
  b: Builder,
  graph: Graph,
  constants: ReadonlyMap<string, Tensor>,
  bound: ReadonlyMap<string, Value>,
): Placed {
  const values = new Map(bound);
  for (const [name, tensor] of [...graph.initializers, ...constants]) {
    if (!values.has(name)) values.set(name, b.constant(tensor, name));
  }
  const nodes = graph.nodes.map((source) => {
    const inputs = source.inputs.map((name): Maybe => (name === '' ? undefined : values.get(name)));
    const outputs = source.outputs.map((name) => (name === '' ? '' : b.unique(name)));
    const node: Node = { ...source, inputs: inputs.map((input) => input?.name ?? ''), outputs };
    const made = emit(b, node, inputs);
    source.outputs.forEach((name, i) => name !== '' && values.set(name, made[i]!));
    return { node, source };
  });
  return { values, nodes };
}

function emit(b: Builder, node: Node, inputs: readonly Maybe[]): readonly Value[] {
  try {
    return b.emit(node, inputs);
  } catch (cause) {
    const reason = isMedleyError(cause) ? cause.message : 'its attributes or inputs have no sense';
    throw new MedleyError('MODEL_INVALID', `node "${node.name}" (${node.op}): ${reason}`, {
      cause,
    });
  }
}
