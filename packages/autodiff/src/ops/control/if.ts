import { closeBody } from '../../graph/body.ts';
import { openSettled } from '../../graph/place.ts';
import { dims, graphOf, type Graph, type Value } from '../../graph/graph.ts';
import type { Maybe } from '../../graph/infer.ts';
import type { GradientContext, GradientRule } from '../../graph/operator.ts';

/**
 * Gradient of If: an If of the branches' gradients, on the same condition. A branch computes its
 * values again, since an If cannot give out values that only one branch has.
 */
export const ifGradient: GradientRule = (c, dY) => {
  const wanted = c.inputs.flatMap((value, i) =>
    i > 0 && c.needs[i] === true && value !== undefined ? [{ value, i }] : [],
  );
  if (wanted.length === 0) return [];
  const values = wanted.map(({ value }) => value);
  const outputs = c.b.many(
    'If',
    [c.inputs[0]],
    {
      then_branch: branchGradient(c, 'then_branch', dY, values),
      else_branch: branchGradient(c, 'else_branch', dY, values),
    },
    wanted.length,
  );
  const found: Maybe[] = c.inputs.map(() => undefined);
  wanted.forEach(({ value, i }, k) => {
    found[i] = c.b.adopt({ ...outputs[k]!, shape: value.shape });
  });
  return found;
};

function branchGradient(
  c: GradientContext,
  name: string,
  dY: readonly Maybe[],
  wanted: readonly Value[],
): Graph {
  const outer = new Map(c.inputs.slice(1).flatMap((v) => (v === undefined ? [] : [[v.name, v]])));
  const { b, placed, outputs } = openSettled(c.forward, c.node, graphOf(c, name), [], outer);
  const seeds = new Map<string, Value>();
  outputs.forEach((output, i) => {
    const g = dY[i];
    const before = seeds.get(output.name);
    if (g !== undefined)
      seeds.set(output.name, before === undefined ? g : b.op('Add', [before, g]));
  });
  const sources = wanted.map((value) => value.name);
  const path = c.inner.path(b, placed, sources, [...seeds.keys()]);
  const found = c.inner.differentiate(b, b, path, seeds, sources);
  const results = found.map((g, i) => g ?? zerosLike(b, wanted[i]!));
  return closeBody(b, `${name}_gradient`, results);
}

function zerosLike(b: GradientContext['b'], value: Value): Value {
  const zeros = b.op('Expand', [b.scalar(0, value), b.shapeOf(value)]);
  return b.adopt({ ...zeros, shape: dims(value) });
}
