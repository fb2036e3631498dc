import { openSettled } from './graph/place.ts';
import { capturesOf, operandsOf, subgraphsOf } from './graph/capture.ts';
import { isFloat } from './graph/dtype.ts';
import type { Builder } from './graph/builder.ts';
import { intOf, type Node, type Value } from './graph/graph.ts';
import type { InferContext } from './graph/infer.ts';
import { shapeText } from './graph/shape.ts';
import type { Placed, PlacedNode } from './graph/place.ts';
import { OPERATORS, operatorOf } from './ops/registry.ts';

/** A node that stands in the way of training, with what to do about it. */
export interface Unsupported {
  /** Name of the node in the model. */
  readonly node: string;
  readonly op: string;
  /** Why, with the shapes of its operands. */
  readonly reason: string;
  readonly advice: string;
}

/** The nodes through which `targets` depend on `sources` differentiably, in graph order. */
export function gradientPath(
  b: Builder,
  placed: Pick<Placed, 'nodes'>,
  sources: Iterable<string>,
  targets: Iterable<string>,
): readonly PlacedNode[] {
  const moving = new Set(sources);
  const active = placed.nodes.filter(({ node }) => {
    if (!differentiableInputs(node).some((name) => moving.has(name))) return false;
    for (const output of node.outputs) {
      const dtype = b.value(output)?.dtype;
      if (output !== '' && (dtype === undefined || isFloat(dtype))) moving.add(output);
    }
    return true;
  });
  const wanted = new Set(targets);
  const path = active.reverse().filter(({ node }) => {
    if (!node.outputs.some((output) => wanted.has(output))) return false;
    for (const input of differentiableInputs(node)) if (moving.has(input)) wanted.add(input);
    return true;
  });
  return path.reverse();
}

/** The inputs of a node through which gradients may flow. */
export function differentiableInputs(node: Node): readonly string[] {
  const operator = operatorOf(node);
  if (operator?.gradient === 'stop') return [];
  return operandsOf(node).filter(
    (name, i) => name !== '' && operator?.settings?.includes(i) !== true,
  );
}

/** Every node that prevents training along `path`, or that cannot be carried into a training graph. */
export function unsupportedNodes(
  b: Builder,
  placed: Pick<Placed, 'nodes'>,
  path: readonly PlacedNode[],
): readonly Unsupported[] {
  const onPath = new Set(path.map(({ node }) => node));
  const faults = placed.nodes.flatMap(({ node, source }) => {
    const fault = carryFault(node) ?? (onPath.has(node) ? pathFault(b, node) : undefined);
    return fault === undefined ? [] : [{ node, source, ...fault }];
  });
  // Behind an unknown operator nothing has a known rank: only the cause is reported.
  const causes = faults.filter(({ isConsequence }) => isConsequence !== true);
  const own = (causes.length > 0 ? causes : faults).map(({ node, source, reason, advice }) => {
    const operands = node.inputs.map((name) => shapeText(b.value(name)?.shape)).join(' ');
    const op = node.domain === '' ? node.op : `${node.domain}:${node.op}`;
    return { node: source.name, op, reason: `${reason} (operands ${operands})`, advice };
  });
  return [...own, ...placed.nodes.flatMap(({ node }) => innerFaults(b, node, onPath.has(node)))];
}

/** What stands in the way inside the subgraphs of a node. */
function innerFaults(b: Builder, node: Node, isOnPath: boolean): readonly Unsupported[] {
  const inputs = node.inputs.map((name) => b.value(name));
  const captures = capturesOf(node).flatMap((name) => b.value(name) ?? []);
  const outer = new Map(captures.map((value) => [value.name, value]));
  return subgraphsOf(node).flatMap(([, graph]) => {
    const body = openSettled(b, node, graph, inputs, outer);
    const floats = (values: readonly Value[]): readonly string[] =>
      values.filter(({ dtype }) => isFloat(dtype)).map(({ name }) => name);
    const sources = isOnPath ? floats([...body.inputs, ...captures]) : [];
    const path = gradientPath(body.b, body.placed, sources, floats(body.outputs));
    return [
      ...body.placed.nodes.flatMap(statisticsFault),
      ...unsupportedNodes(body.b, body.placed, path),
    ];
  });
}

/** Running statistics that a subgraph would have to give back. */
function statisticsFault({ node, source }: PlacedNode): readonly Unsupported[] {
  const isTraining =
    node.op === 'BatchNormalization' && node.domain === '' && intOf(node, 'training_mode', 0) === 1;
  if (!isTraining) return [];
  return [
    {
      node: source.name,
      op: node.op,
      reason:
        'it is in training mode inside a subgraph, which cannot give its running statistics back',
      advice: "set batchNorm: 'frozen', or export it in inference mode",
    },
  ];
}

interface Fault {
  readonly reason: string;
  readonly advice: string;
  readonly isConsequence?: boolean;
}

function carryFault(node: Node): Fault | undefined {
  if (node.domain !== '') {
    return {
      reason: `it is of the domain "${node.domain}", not of ONNX itself`,
      advice: 'export with standard operators only',
    };
  }
  const kinds = [...node.attributes.values()].map((attribute) => attribute.kind);
  if (kinds.includes('opaque')) {
    return {
      reason: 'it has an attribute of a kind that is not read',
      advice: 'export it without sparse constants',
    };
  }
  return undefined;
}

function pathFault(b: Builder, node: Node): Fault | undefined {
  const operator = OPERATORS.get(node.op);
  if (operator?.gradient === undefined && operator?.lower === undefined) {
    return {
      reason: 'it has no gradient here, and weights depend on it',
      advice:
        operator?.advice ??
        'replace it by other operators or store the weights before it as Constant nodes',
    };
  }
  const values = [...node.inputs, ...node.outputs]
    .filter((name) => name !== '')
    .map((name) => b.value(name));
  if (values.some((value) => value?.shape === undefined || value.dtype === undefined)) {
    return {
      isConsequence: true,
      reason: 'the rank of an operand or of its result is not known',
      advice: 'export with constant shapes except for the batch, or run shape inference before',
    };
  }
  const refusal = operator.refuse?.(contextOf(b, node));
  return refusal === undefined ? undefined : { reason: refusal, advice: 'change the node as said' };
}

function contextOf(b: Builder, node: Node): InferContext {
  return {
    op: node.op,
    attributes: node.attributes,
    inputs: node.inputs.map((name) => b.value(name)),
    outputCount: node.outputs.length,
    fresh: b.fresh,
  };
}
