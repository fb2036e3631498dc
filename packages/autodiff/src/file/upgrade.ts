import { MedleyError } from '@medley/kit';
import {
  attributes,
  type Attribute,
  type Attributes,
  type Graph,
  type Node,
} from '../graph/graph.ts';
import type { Infer } from '../graph/infer.ts';
import { ATTENTION } from './upgrade/attention.ts';
import { ELEMENTWISE } from './upgrade/elementwise.ts';
import { LAYOUT } from './upgrade/layout.ts';
import { NORMALISATION } from './upgrade/normalisation.ts';
import { RECURRENCE } from './upgrade/recurrence.ts';
import { REDUCTION } from './upgrade/reduction.ts';
import { RESAMPLING } from './upgrade/resampling.ts';
import type { Entry, Rewrite } from './upgrade/rewrite.ts';
import { Scope } from './upgrade/scope.ts';

/** Oldest operator set that is read: the oldest of files that are still about. */
export const OLDEST_OPSET = 6;
/** Newest operator set whose additions were looked at. */
export const NEWEST_OPSET = 26;

const ENTRIES = new Map<string, Entry[]>();
for (const entry of [
  ...ATTENTION,
  ...ELEMENTWISE,
  ...LAYOUT,
  ...NORMALISATION,
  ...RECURRENCE,
  ...REDUCTION,
  ...RESAMPLING,
]) {
  ENTRIES.set(entry.op, [...(ENTRIES.get(entry.op) ?? []), entry]);
}

/** A call of a function of the model, opened. */
export interface Opened {
  /** Its nodes under names of their own, with the names of the call's inputs and outputs. */
  readonly nodes: readonly Node[];
  readonly opset: number;
}

/** What the rules need to know beside the graph. */
export interface UpgradeContext {
  readonly opset: number;
  readonly infer: Infer;
  /** Opens the call of a function; undefined for a node that calls none. */
  readonly open?: (node: Node) => Opened | undefined;
}

/**
 * The graph at operator set 18, with nodes rewritten whose form changed on the way there, and with
 * calls of functions replaced by their nodes. Subgraphs are rewritten too.
 *
 * Throws MODEL_UNSUPPORTED_OPSET outside 6 to 26, MODEL_UNSUPPORTED_OPERATOR for a node that has no
 * form in operator set 18, and MODEL_INVALID for attributes of the wrong kind.
 */
export function upgrade(graph: Graph, context: UpgradeContext): Graph {
  checkOpset(context.opset);
  return rewritten(graph, context, new Scope(context.infer));
}

function checkOpset(opset: number): void {
  if (opset < OLDEST_OPSET || opset > NEWEST_OPSET) {
    throw new MedleyError(
      'MODEL_UNSUPPORTED_OPSET',
      `the model uses operator set ${opset}; ${OLDEST_OPSET} to ${NEWEST_OPSET} are read`,
    );
  }
}

function rewritten(graph: Graph, context: UpgradeContext, outer: Scope): Graph {
  const scope = outer.inner(graph);
  for (const node of graph.nodes) convert(node, context, scope);
  return { ...graph, nodes: scope.nodes };
}

function convert(source: Node, context: UpgradeContext, scope: Scope): void {
  const opened = context.open?.(source);
  if (opened !== undefined) {
    checkOpset(opened.opset);
    for (const node of opened.nodes) convert(node, { ...context, opset: opened.opset }, scope);
    return;
  }
  const { opset } = context;
  const rule =
    source.domain === ''
      ? ENTRIES.get(source.op)?.find(
          ({ since = 0, before = Infinity }) => opset >= since && opset < before,
        )?.rule
      : undefined;
  const node = withSubgraphs(source, context, scope);
  if (rule === undefined) scope.emit(node);
  else rule(rewrite(node, scope));
}

function rewrite(node: Node, scope: Scope): Rewrite {
  const write = (
    op: string,
    inputs: readonly string[],
    settings: Attributes,
    count: number,
  ): readonly string[] => {
    const outputs = Array.from({ length: count }, () => scope.free(`${node.name}/${op}`));
    const { call } = node;
    scope.emit({ op, domain: '', name: outputs[0]!, inputs, outputs, attributes: settings, call });
    return outputs;
  };
  return {
    node,
    input: (index) => node.inputs[index] ?? '',
    value: (name) => scope.value(name),
    constant: (tensor) => write('Constant', [], attributes({ value: tensor }), 1)[0]!,
    op: (op, inputs, settings = {}) => write(op, inputs, attributes(settings), 1)[0]!,
    many: (op, inputs, settings, count) => write(op, inputs, attributes(settings), count),
    bind: (index, value) => {
      const name = node.outputs[index] ?? '';
      if (name === '') return;
      const fields = { op: 'Identity', domain: '', inputs: [value], attributes: new Map() };
      scope.emit({ ...fields, name: `${node.name}/${index}`, outputs: [name] });
    },
    finish: (changes) => scope.emit({ ...node, ...changes }),
  };
}

/** The node with its subgraphs rewritten, and without what told older runtimes where to write results. */
function withSubgraphs(node: Node, context: UpgradeContext, scope: Scope): Node {
  const isPlain = [...node.attributes.values()].every(({ kind }) => kind !== 'graph');
  if (isPlain && !node.attributes.has('consumed_inputs')) return node;
  const changed = [...without(node.attributes, 'consumed_inputs')].map(
    ([name, attribute]): readonly [string, Attribute] =>
      attribute.kind === 'graph'
        ? [name, { ...attribute, value: rewritten(attribute.value, context, scope) }]
        : [name, attribute],
  );
  return { ...node, attributes: new Map(changed) };
}

function without(from: Attributes, name: string): Attributes {
  return new Map([...from].filter(([key]) => key !== name));
}
