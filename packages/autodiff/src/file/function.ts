import { MedleyError } from '@medley/kit';
import type { onnx } from '../generated/onnx.js';
import { safeInteger } from './codec.ts';
import type { Attribute, Graph, Node } from '../graph/graph.ts';
import { domainOf, readAttribute, readNodes } from './reader.ts';
import type { Opened } from './upgrade.ts';

/** Most nodes that calls of functions may become: functions in functions grow without bound. */
const MAX_NODES = 50_000;

/** Deepest nesting of calls. */
const MAX_DEPTH = 64;

const keyOf = (domain: string, name: string, overload: string): string =>
  JSON.stringify([domain, name, overload]);

/**
 * Opens calls of a model's own functions: each call becomes the function's nodes, with names of their
 * own and with attributes passed by reference put in (ONNX IR, "Functions"). The operator set is the
 * function's own.
 *
 * Opening throws MODEL_INVALID for functions that call themselves, and MODEL_TOO_LARGE when calls
 * become more than 50,000 nodes.
 */
export function functionOpener(
  proto: onnx.ModelProto,
  opset: number,
): (node: Node) => Opened | undefined {
  const functions = new Map<string, onnx.IFunctionProto>();
  for (const entry of proto.functions) {
    const key = keyOf(domainOf(entry.domain), entry.name ?? '', entry.overload ?? '');
    if (functions.has(key)) {
      throw new MedleyError(
        'MODEL_DUPLICATE_NAME',
        `two functions are named "${entry.name ?? ''}"`,
      );
    }
    functions.set(key, entry);
  }
  const within = new WeakMap<Node, readonly string[]>();
  const taken = new Set<string>();
  let count = 0;
  return (node) => {
    const key = keyOf(node.domain, node.op, node.overload ?? '');
    const found = functions.get(key);
    if (found === undefined) return undefined;
    const trail = within.get(node) ?? [];
    if (trail.includes(key) || trail.length >= MAX_DEPTH) {
      throw new MedleyError('MODEL_INVALID', `the function "${node.op}" calls itself`);
    }
    let prefix = node.name;
    for (let i = 2; taken.has(prefix); i++) prefix = `${node.name}.${i}`;
    taken.add(prefix);
    const nodes = bodyOf(found, node, prefix);
    count += nodes.length;
    if (count > MAX_NODES) {
      throw new MedleyError('MODEL_TOO_LARGE', `its functions become more than ${MAX_NODES} nodes`);
    }
    for (const inner of nodes) within.set(inner, [...trail, key]);
    return { nodes, opset: opsetOf(found, opset) };
  };
}

function opsetOf(proto: onnx.IFunctionProto, fallback: number): number {
  const entry = (proto.opsetImport ?? []).find(({ domain }) => domainOf(domain) === '');
  return entry === undefined ? fallback : safeInteger(entry.version ?? 0, 'the operator set');
}

/** The function's nodes as they stand for one call. */
function bodyOf(proto: onnx.IFunctionProto, call: Node, prefix: string): readonly Node[] {
  const where = `function "${call.op}"`;
  const [inputs, outputs] = [proto.input ?? [], proto.output ?? []];
  if (call.inputs.length > inputs.length || call.outputs.length > outputs.length) {
    throw new MedleyError(
      'MODEL_INVALID',
      `the call "${call.name}" of ${where} has too many values`,
    );
  }
  const references = new Map<string, Attribute>();
  for (const entry of proto.attributeProto ?? []) {
    references.set(entry.name ?? '', readAttribute(entry, where, new Set()));
  }
  for (const [name, attribute] of call.attributes) references.set(name, attribute);
  const known = new Set(['', ...inputs]);
  const nodes = readNodes(proto.node ?? [], known, references);
  const names = new Map<string, string>([['', '']]);
  inputs.forEach((name, i) => names.set(name, call.inputs[i] ?? ''));
  const passed: Node[] = [];
  outputs.forEach((name, i) => {
    const target = call.outputs[i] ?? '';
    if (!known.has(name)) throw new MedleyError('MODEL_INVALID', `${where} never makes "${name}"`);
    if (target === '') return;
    if (names.has(name)) passed.push(identity(names.get(name)!, target));
    else names.set(name, target);
  });
  const rename = (name: string): string => {
    const renamed = names.get(name) ?? `${prefix}/${name}`;
    names.set(name, renamed);
    return renamed;
  };
  return [...nodes.map((node) => renamedNode(node, rename, prefix)), ...passed];
}

function identity(from: string, to: string): Node {
  return {
    op: 'Identity',
    domain: '',
    name: to,
    inputs: [from],
    outputs: [to],
    attributes: new Map(),
  };
}

function renamedNode(node: Node, rename: (name: string) => string, prefix: string): Node {
  const attributes = [...node.attributes].map(([name, attribute]): readonly [string, Attribute] => {
    if (attribute.kind === 'graph')
      return [name, { ...attribute, value: renamedGraph(attribute.value, rename, prefix) }];
    return [name, isGradient(node) ? renamedNames(attribute, rename) : attribute];
  });
  return {
    ...node,
    name: `${prefix}/${node.name}`,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
    attributes: new Map(attributes),
  };
}

/** ONNX's Gradient names values in its attributes (xs, zs, y). */
const isGradient = ({ op, domain }: Node): boolean =>
  op === 'Gradient' && domain === 'ai.onnx.preview.training';

function renamedNames(attribute: Attribute, rename: (name: string) => string): Attribute {
  if (attribute.kind === 'string') return { ...attribute, value: rename(attribute.value) };
  return attribute.kind === 'strings'
    ? { ...attribute, value: attribute.value.map(rename) }
    : attribute;
}

function renamedGraph(graph: Graph, rename: (name: string) => string, prefix: string): Graph {
  return {
    ...graph,
    inputs: graph.inputs.map((value) => ({ ...value, name: rename(value.name) })),
    initializers: new Map([...graph.initializers].map(([name, tensor]) => [rename(name), tensor])),
    nodes: graph.nodes.map((node) => renamedNode(node, rename, prefix)),
    outputs: graph.outputs.map((value) => ({ ...value, name: rename(value.name) })),
    hints: undefined,
  };
}
