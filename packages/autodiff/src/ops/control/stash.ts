import { closeBody, type Body } from '../../graph/body.ts';
import type { Attribute, Node, Value } from '../../graph/graph.ts';
import type { GradientContext } from '../../graph/operator.ts';
import type { Dim } from '../../graph/shape.ts';
import type { Recurrence } from './form.ts';

/**
 * Writes the forward Scan or Loop anew, with the named values of its body as further results, stacked
 * over the steps in front. Gives these by name.
 */
export function giveOut(
  c: GradientContext,
  form: Recurrence,
  body: Body,
  names: readonly string[],
): ReadonlyMap<string, Value> {
  const values = names.map((name) => body.b.value(name)!);
  const graph = closeBody(body.b, form.body.name, [...body.outputs, ...values]);
  const steps = stepsOf(c, form);
  const stacks = values.map(({ name, dtype, shape }) =>
    c.forward.adopt({
      name: c.forward.unique(`${name}.all`),
      dtype,
      shape: shape && [steps, ...shape],
    }),
  );
  const own = body.outputs.slice(form.skip).map((_, i) => {
    const name = c.node.outputs[i];
    return name === undefined || name === '' ? c.forward.unique(`${c.node.name}.${i}`) : name;
  });
  const node: Node = {
    ...c.node,
    outputs: [...own, ...stacks.map(({ name }) => name)],
    attributes: widened(c.node, { kind: 'graph', value: graph }, names.length),
  };
  c.forward.nodes[c.forward.nodes.indexOf(c.node)] = node;
  return new Map(names.map((name, i) => [name, stacks[i]!]));
}

function widened(node: Node, body: Attribute, more: number): Node['attributes'] {
  const attributes = new Map(node.attributes).set('body', body);
  for (const key of ['scan_output_axes', 'scan_output_directions']) {
    const list = attributes.get(key);
    if (list?.kind !== 'ints') continue;
    const value = [...list.value, ...Array.from({ length: more }, () => 0)];
    attributes.set(key, { kind: 'ints', value });
  }
  return attributes;
}

function stepsOf(c: GradientContext, form: Recurrence): Dim {
  const [first] = form.scanInputs;
  const whole = first === undefined ? undefined : c.inputs[form.states]?.shape?.at(first.axis);
  const stacked = form.scanOutputs[0];
  const made = stacked && c.outputs[form.states]?.shape?.at(stacked.axis);
  return whole ?? made ?? c.forward.fresh();
}
