import { graphOf, intOf, intsOf } from '../../graph/graph.ts';
import type { InferContext, Inferred } from '../../graph/infer.ts';
import type { Dim, Shape } from '../../graph/shape.ts';

// Subgraphs are placed before their node, so that their outputs say type and shape.

/** Inference of If: what both branches agree on. */
export function inferIf(c: InferContext): readonly Inferred[] {
  const [yes, no] = [graphOf(c, 'then_branch').outputs, graphOf(c, 'else_branch').outputs];
  return yes.map(({ dtype, shape }, i) => ({
    dtype: dtype ?? no[i]?.dtype,
    shape: agreed(shape, no[i]?.shape, c.fresh),
  }));
}

function agreed(a: Shape | undefined, b: Shape | undefined, fresh: () => string) {
  if (a === undefined || a.length !== b?.length) return undefined;
  return a.map((dim, i) => (dim === b[i] ? dim : fresh()));
}

/** Inference of Loop: states keep what their subgraph says, the other results are stacked. */
export function inferLoop(c: InferContext): readonly Inferred[] {
  const [, ...outputs] = graphOf(c, 'body').outputs;
  const states = c.inputs.length - 2;
  const steps = c.fresh();
  return outputs.map(({ dtype, shape }, i) => {
    if (i >= states) return { dtype, shape: stacked(shape, steps, 0) };
    const initial = c.inputs[i + 2];
    return { dtype: initial?.dtype ?? dtype, shape: agreed(shape, initial?.shape, c.fresh) };
  });
}

/** Inference of Scan: states are as they began, the other results are stacked on their axes. */
export function inferScan(c: InferContext): readonly Inferred[] {
  const { outputs } = graphOf(c, 'body');
  const states = c.inputs.length - intOf(c, 'num_scan_inputs', 1);
  const axes = intsOf(c, 'scan_output_axes') ?? [];
  const inputAxis = intsOf(c, 'scan_input_axes')?.[0] ?? 0;
  const steps = c.inputs[states]?.shape?.at(inputAxis) ?? c.fresh();
  return outputs.map(({ dtype, shape }, i) =>
    i < states
      ? { dtype: c.inputs[i]?.dtype ?? dtype, shape: c.inputs[i]?.shape }
      : { dtype, shape: stacked(shape, steps, axes[i - states] ?? 0) },
  );
}

function stacked(shape: Shape | undefined, steps: Dim, axis: number): Shape | undefined {
  if (shape === undefined) return undefined;
  const at = axis < 0 ? axis + shape.length + 1 : axis;
  return [...shape.slice(0, at), steps, ...shape.slice(at)];
}
