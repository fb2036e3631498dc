import { byteSize, isFloat } from '../graph/dtype.ts';
import { intOf, type Node, type Value } from '../graph/graph.ts';
import type { Dim } from '../graph/shape.ts';

/** What one node costs in a forward pass. */
export interface NodeCost {
  /** Additions and multiplications. */
  readonly flops: number;
  /** Bytes of its float results, which the backward pass may need. */
  readonly bytes: number;
}

/** Operators that give a view or a rearrangement: bytes, no arithmetic. */
const MOVING = new Set(
  [
    'Cast',
    'Concat',
    'DepthToSpace',
    'Expand',
    'Flatten',
    'Gather',
    'Identity',
    'Pad',
    'Reshape',
  ].concat([
    'Slice',
    'SpaceToDepth',
    'Split',
    'Squeeze',
    'Tile',
    'Transpose',
    'Unsqueeze',
    'Constant',
  ]),
);

/**
 * Costs from shapes alone; sizes without a number count as 1. Products of matrices and convolutions are
 * counted exactly, a multiplication and an addition for each product; other operators as one operation
 * for each element they give.
 */
export function nodeCost(node: Node, valueOf: (name: string) => Value | undefined): NodeCost {
  const shapes = node.inputs.map((name) => valueOf(name)?.shape ?? []);
  const outputs = node.outputs.map((name) => valueOf(name));
  const elements = outputs.map((output) => count(output?.shape ?? []));
  const bytes = outputs.reduce((sum, output, i) => {
    return isFloat(output?.dtype) ? sum + byteSize(output!.dtype!, elements[i]!) : sum;
  }, 0);
  const first = elements[0] ?? 0;
  return { flops: MOVING.has(node.op) ? 0 : flopsOf(node, shapes, first), bytes };
}

function flopsOf(node: Node, shapes: readonly (readonly Dim[])[], elements: number): number {
  const [x = [], w = []] = shapes;
  switch (node.op) {
    case 'MatMul':
      return 2 * elements * number(x.at(-1));
    case 'Gemm':
      return 2 * elements * number(intOf(node, 'transA', 0) === 1 ? x[0] : x[1]);
    case 'Conv':
      return 2 * elements * count(w.slice(1));
    case 'ConvTranspose':
      return 2 * count(x) * count(w.slice(1));
    case 'LSTM':
    case 'GRU':
    case 'RNN':
      // Weights [directions, gates·hidden, input] and [directions, gates·hidden, hidden] at every step.
      return 2 * number(x[0]) * number(x[1]) * (count(w) + count(shapes[2] ?? []));
    default:
      return elements;
  }
}

function count(shape: readonly Dim[]): number {
  return shape.reduce<number>((product, size) => product * number(size), 1);
}

function number(size: Dim | undefined): number {
  return typeof size === 'number' ? size : 1;
}
