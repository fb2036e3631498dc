import { MedleyError } from '@medley/kit';
import { differentiate } from '../differentiate.ts';
import type { Attribute, Node, Value } from '../graph/graph.ts';
import { place, type PlacedNode } from '../graph/place.ts';
import { gradientPath, unsupportedNodes } from '../path.ts';
import { refusal } from '../unsupported.ts';
import type { Compilation } from './compile.ts';

/**
 * ONNX's Gradient: of the sum of `y` with respect to each of `xs`, where `xs` and `zs` have the values
 * that the node is given and nothing flows through them. Inputs of other names than `xs` and `zs` ask
 * for the gradient at another place: the nodes in between are then written once more.
 */
export function gradientNode(c: Compilation, node: Node): readonly Value[] {
  const [xs, zs] = [names(node, 'xs'), names(node, 'zs')];
  const held = [...xs, ...zs];
  const target = text(node, 'y');
  if (xs.length === 0 || node.inputs.length !== held.length) {
    throw new MedleyError(
      'MODEL_INVALID',
      `node "${node.name}" (Gradient) has to have one input for each of xs and zs`,
    );
  }
  const isElsewhere = held.some((name, i) => node.inputs[i] !== name);
  const at = isElsewhere ? evaluated(c, node, held, target) : c;
  const find = (name: string): Value => {
    const value = at.values.get(name);
    if (value === undefined)
      throw new MedleyError('MODEL_VALUE_UNKNOWN', `nothing before the Gradient makes "${name}"`);
    return value;
  };
  const sources = xs.map(find);
  const y = find(target);
  const stops = new Set(held.map((name) => find(name).name));
  const nodes = at.nodes.filter(({ node: made }) => !made.outputs.some((name) => stops.has(name)));
  const path = gradientPath(
    c.b,
    { nodes },
    sources.map(({ name }) => name),
    [y.name],
  );
  const faults = unsupportedNodes(c.b, { nodes: path }, path);
  if (faults.length > 0) throw refusal(faults);
  const seed = c.b.op('Expand', [c.b.op('CastLike', [c.b.scalar(1), y]), c.b.shapeOf(y)]);
  return differentiate(c.b, path, new Map([[y.name, seed]]), sources);
}

/** `target` computed anew with the node's inputs in the place of `held`. */
function evaluated(c: Compilation, node: Node, held: readonly string[], target: string) {
  const bound = new Map(c.values);
  held.forEach((name, i) => {
    const given = c.values.get(node.inputs[i]!);
    if (given !== undefined) bound.set(name, given);
  });
  const stops = new Set(held);
  const wanted = new Set([target]);
  const changed = new Set(held);
  const before = c.graph.nodes.slice(0, c.graph.nodes.indexOf(node));
  for (const { inputs, outputs } of before) {
    if (inputs.some((name) => changed.has(name)))
      for (const name of outputs) if (!stops.has(name)) changed.add(name);
  }
  const again = [...before].reverse().filter(({ inputs, outputs }) => {
    if (!outputs.some((name) => wanted.has(name) && changed.has(name) && !stops.has(name)))
      return false;
    for (const name of inputs) wanted.add(name);
    return true;
  });
  if (again.some(({ domain }) => domain !== '')) {
    throw new MedleyError(
      'MODEL_UNSUPPORTED_OPERATOR',
      `node "${node.name}" (Gradient): it asks for another place of a function that holds training operators`,
    );
  }
  const placed = place(c.b, { ...c.graph, nodes: again.reverse() }, c.constants, bound);
  return { values: placed.values as Map<string, Value>, nodes: [...placed.nodes] as PlacedNode[] };
}

function names(node: Node, attribute: string): readonly string[] {
  const found: Attribute | undefined = node.attributes.get(attribute);
  return found?.kind === 'strings' ? found.value : [];
}

function text(node: Node, attribute: string): string {
  const found: Attribute | undefined = node.attributes.get(attribute);
  return found?.kind === 'string' ? found.value : '';
}
