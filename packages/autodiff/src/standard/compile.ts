import { MedleyError } from '@medley/kit';
import { placeInput } from '../alone.ts';
import { decodeModel, safeInteger } from '../file/codec.ts';
import { fold } from '../file/fold.ts';
import { functionOpener } from '../file/function.ts';
import { readGraph } from '../file/reader.ts';
import { densify } from '../file/sparse.ts';
import { upgrade } from '../file/upgrade.ts';
import { OPSET, writeModel } from '../file/writer.ts';
import { Builder } from '../graph/builder.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { place, type PlacedNode } from '../graph/place.ts';
import type { Tensor } from '../graph/tensor.ts';
import { infer } from '../ops/registry.ts';
import { ENGINE_VERSION } from '../training/manifest.ts';
import { gradientNode } from './gradient.ts';
import { updateNode } from './update.ts';

/** The domain of ONNX's own training operators. */
export const TRAINING_DOMAIN = 'ai.onnx.preview.training';

/** A graph as it is compiled: what was written so far. */
export interface Compilation {
  readonly b: Builder;
  readonly graph: Graph;
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Values by their names in the model. */
  readonly values: Map<string, Value>;
  /** Nodes written so far, the expanded ones among them. */
  readonly nodes: PlacedNode[];
}

/**
 * A model with ONNX's training operators (Gradient, Adam, Adagrad and Momentum of the domain
 * ai.onnx.preview.training, version 1) as one of plain operators of set 18, with the same inputs and
 * outputs: the stock runtime has no kernels for these operators. Functions of the model are opened.
 *
 * Throws MODEL_UNSUPPORTED_OPERATOR for another operator of the domain and where a gradient cannot
 * pass, MODEL_VALUE_UNKNOWN for a name that a Gradient node does not find, and what reading a model
 * throws.
 */
export function compileTraining(bytes: Uint8Array): Uint8Array {
  const proto = decodeModel(bytes);
  const standard = proto.opsetImport.find(({ domain }) =>
    ['', 'ai.onnx', undefined, null].includes(domain),
  );
  // A model may consist of training operators alone.
  const opset =
    standard === undefined ? OPSET : safeInteger(standard.version ?? 0, 'the operator set');
  densify(proto.graph!);
  const open = functionOpener(proto, opset);
  return compileGraph(upgrade(readGraph(proto.graph!), { opset, infer, open }));
}

function compileGraph(read: Graph): Uint8Array {
  const { graph, constants } = fold(read, infer, () => false);
  const b = new Builder(infer, { taken: new Set(), count: highestNumber(graph) });
  const values = new Map(graph.inputs.map((input) => [input.name, placeInput(b, input)]));
  for (const [name, tensor] of [...graph.initializers, ...constants])
    values.set(name, b.constant(tensor, name));
  const c: Compilation = { b, graph, constants, values, nodes: [] };
  for (const node of graph.nodes) {
    if (node.domain === TRAINING_DOMAIN) expand(c, node);
    else placeOne(c, node);
  }
  const outputs = graph.outputs.map(({ name }) => {
    const value = values.get(name)!;
    return value.name === name ? value : b.named(value, name);
  });
  return writeModel(b.graph(graph.name, outputs), { producer: 'medley', version: ENGINE_VERSION });
}

/** Above every number that a name of the model ends with, so that our counted names never meet one. */
function highestNumber(graph: Graph): number {
  const names = [...graph.nodes.flatMap(({ outputs }) => outputs), ...graph.initializers.keys()];
  const numbers = names.map((name) => Number(/_(\d{1,12})$/.exec(name)?.[1] ?? 0));
  return numbers.reduce((most, number) => Math.max(most, number), 0);
}

function placeOne({ b, graph, constants, values, nodes }: Compilation, node: Node): void {
  const placed = place(b, { ...graph, nodes: [node] }, constants, values);
  for (const name of node.outputs) {
    const made = placed.values.get(name);
    if (made !== undefined) values.set(name, made);
  }
  nodes.push(...placed.nodes);
}

function expand(c: Compilation, node: Node): void {
  const mark = c.b.nodes.length;
  const results = node.op === 'Gradient' ? gradientNode(c, node) : updateNode(c, node);
  node.outputs.forEach((name, i) => {
    const result = results[i];
    if (name === '') return;
    if (result === undefined) {
      throw new MedleyError(
        'MODEL_INVALID',
        `node "${node.name}" (${node.op}) has too many outputs`,
      );
    }
    c.values.set(name, result);
  });
  // A later Gradient may ask for the gradient of this one.
  for (const made of c.b.nodes.slice(mark)) c.nodes.push({ node: made, source: node });
}
