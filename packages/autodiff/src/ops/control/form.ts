import { graphOf, intOf, intsOf, type Graph, type Node } from '../../graph/graph.ts';

/** How a scan input or output lies in its whole tensor. */
export interface Slicing {
  readonly axis: number;
  /** 1: the first step takes or makes the last slice. */
  readonly direction: number;
}

/** What Scan and Loop have in common: a subgraph that carries states and makes slices. */
export interface Recurrence {
  readonly body: Graph;
  /** Inputs of the body and of the node before the states: iteration and condition of a Loop. */
  readonly lead: number;
  /** Outputs of the body before the states: the condition of a Loop. */
  readonly skip: number;
  readonly states: number;
  readonly scanInputs: readonly Slicing[];
  readonly scanOutputs: readonly Slicing[];
}

/** A Scan or Loop node in that form. */
export function recurrenceOf(node: Node): Recurrence {
  const body = graphOf(node, 'body');
  if (node.op === 'Loop') {
    const states = node.inputs.length - 2;
    const scanOutputs = body.outputs.slice(1 + states).map(() => ({ axis: 0, direction: 0 }));
    return { body, lead: 2, skip: 1, states, scanInputs: [], scanOutputs };
  }
  const scans = intOf(node, 'num_scan_inputs', 1);
  const states = node.inputs.length - scans;
  const slicing = (kind: string, count: number): readonly Slicing[] => {
    const axes = intsOf(node, `scan_${kind}_axes`) ?? [];
    const directions = intsOf(node, `scan_${kind}_directions`) ?? [];
    return Array.from({ length: count }, (_, i) => ({
      axis: axes[i] ?? 0,
      direction: directions[i] ?? 0,
    }));
  };
  const scanInputs = slicing('input', scans);
  const scanOutputs = slicing('output', body.outputs.length - states);
  return { body, lead: 0, skip: 0, states, scanInputs, scanOutputs };
}

/** In step order, along the first axis. */
export const PLAIN: Slicing = { axis: 0, direction: 0 };

/** The same slices met in the opposite order. */
export const reversed = ({ axis, direction }: Slicing): Slicing => ({
  axis,
  direction: 1 - direction,
});
