import { closeBody, type Body } from '../../graph/body.ts';
import { openSettled } from '../../graph/place.ts';
import type { Builder } from '../../graph/builder.ts';
import { operandsOf, renameOperands } from '../../graph/capture.ts';
import { isFloat } from '../../graph/dtype.ts';
import { dims, type Value } from '../../graph/graph.ts';
import type { Maybe } from '../../graph/infer.ts';
import type { GradientContext, GradientRule } from '../../graph/operator.ts';
import { PLAIN, recurrenceOf, reversed, type Recurrence, type Slicing } from './form.ts';
import { moveInvariant } from './invariant.ts';
import { giveOut } from './stash.ts';
import { lateUses, type LateUse } from './weights.ts';

/**
 * Gradient of Scan and Loop: a Scan over the steps in reverse order, which carries the gradients of
 * the states and of outer values. What it needs of the forward steps the forward node gives out as
 * further stacked results (back-propagation through time: Werbos 1990).
 */
export const recurrenceGradient: GradientRule = (c, dY) => {
  const r = open(c);
  const body = writeBody(r, dY);
  moveInvariant(r.b, c.b, (name) => !r.body.b.values.has(name) && !r.b.values.has(name));
  const results = settle(r, body.results);
  const stacks = feed(r, results);
  return collect(r, body, results, stacks);
};

/** A reverse Scan in the making. */
interface Reverse {
  readonly c: GradientContext;
  readonly form: Recurrence;
  /** The forward body, written anew. */
  readonly body: Body;
  /** Where the reverse body is written. */
  readonly b: Builder;
  /** Indices of the states that are floats. */
  readonly states: readonly number[];
  /** Indices of the scan inputs whose gradient is asked for. */
  readonly slices: readonly number[];
  /** Outer values, by index in c.inputs, whose gradient adds up from step to step. */
  readonly sums: readonly number[];
  /** Uses of outer weights whose gradient is taken after the last step, by index in c.inputs. */
  readonly late: readonly { readonly at: number; readonly use: LateUse }[];
  /** What the reverse body reads slice by slice: outer tensors, or values of the forward body by name. */
  readonly read: { readonly from: Value | string; readonly slicing: Slicing }[];
}

function open(c: GradientContext): Reverse {
  const form = recurrenceOf(c.node);
  const given = c.node.inputs.length;
  const outer = c.inputs.slice(given).flatMap((value) => value ?? []);
  const seen = new Map(outer.map((value) => [value.name, value]));
  const body = openSettled(c.forward, c.node, form.body, c.inputs.slice(0, given), seen);
  const floats = body.inputs
    .slice(form.lead)
    .flatMap(({ dtype }, i) => (isFloat(dtype) ? [i] : []));
  const wanted = outer.flatMap((_, i) => (c.needs[given + i] === true ? [given + i] : []));
  const uses = lateUses(
    body,
    wanted.map((at) => c.inputs[at]!),
  );
  return {
    c,
    form,
    body,
    b: body.b.subgraph(),
    states: floats.filter((i) => i < form.states),
    slices: form.scanInputs.flatMap((_, i) => (c.needs[form.states + i] === true ? [i] : [])),
    sums: wanted.filter((at) => !uses.has(c.inputs[at]!.name)),
    late: wanted.flatMap((at) => (uses.get(c.inputs[at]!.name) ?? []).map((use) => ({ at, use }))),
    read: [],
  };
}

/** Results of the reverse body: first what is carried, then what is stacked. */
interface Results {
  /** Initial values of what is carried. */
  readonly initial: readonly Value[];
  readonly results: readonly Value[];
  readonly slicings: readonly Slicing[];
  /** Position among the results of the gradient of a value of the forward body that is stacked. */
  readonly slots: ReadonlyMap<string, number>;
}

function writeBody(r: Reverse, dY: readonly Maybe[]): Results {
  const { c, form, body, b } = r;
  const like = (value: Value, suffix: string): Value =>
    b.argument(`${value.name}.${suffix}`, value.dtype, value.shape);
  const states = r.states.map((i) => body.inputs[form.lead + i]!);
  const sums = r.sums.map((at) => c.inputs[at]!);
  const carried = [...states.map((value) => like(value, 'd')), ...sums.map((v) => like(v, 'sum'))];
  const initial = [
    ...r.states.map((i) => dY[i] ?? zerosLike(c.b, c.inputs[form.lead + i]!)),
    ...sums.map((value) => zerosLike(c.b, value)),
  ];
  const seeds = seedsOf(r, dY, carried);
  const slices = r.slices.map((m) => body.inputs[form.states + m]!);
  const late = [...new Map(r.late.map(({ use }) => [use.output.name, use.output])).values()];
  const sources = [...states, ...sums, ...slices, ...late].map(({ name }) => name);
  const path = c.inner.path(body.b, body.placed, sources, [...seeds.keys()]);
  const found = c.inner.differentiate(b, body.b, path, seeds, sources);
  const next = carried.map((now, i) => {
    const g = found[i];
    if (i < states.length) return g ?? zerosLike(b, now);
    return g === undefined ? now : b.op('Add', [now, g]);
  });
  const results = [...next];
  const slicings: Slicing[] = [];
  const slots = new Map<string, number>();
  [...slices, ...late].forEach(({ name }, i) => {
    const g = found[carried.length + i];
    if (g === undefined || slots.has(name)) return;
    const m = r.slices[i];
    slots.set(name, results.length);
    results.push(g);
    slicings.push(reversed(m === undefined ? PLAIN : form.scanInputs[m]!));
  });
  return { initial, results, slicings, slots };
}

/** Gradients that reach the forward body's outputs in one step. */
function seedsOf(
  { form, body, b, states, read }: Reverse,
  dY: readonly Maybe[],
  carried: readonly Value[],
): ReadonlyMap<string, Value> {
  const outputs = body.outputs.slice(form.skip);
  const given = form.scanOutputs.flatMap((slicing, k) => {
    const from = dY[form.states + k];
    const y = outputs[form.states + k]!;
    if (from === undefined || !isFloat(y.dtype)) return [];
    read.push({ from, slicing: reversed(slicing) });
    return [[y.name, b.argument(`${y.name}.d`, y.dtype, y.shape)] as const];
  });
  const seeds = new Map<string, Value>();
  for (const [name, g] of [
    ...states.map((i, k) => [outputs[i]!.name, carried[k]!] as const),
    ...given,
  ]) {
    const before = seeds.get(name);
    seeds.set(name, before === undefined ? g : b.op('Add', [before, g]));
  }
  return seeds;
}

/** Results as nodes of the reverse body, also those that are values of the forward one. */
function settle({ b }: Reverse, results: readonly Value[]): readonly Value[] {
  const made = new Set(b.nodes.flatMap(({ outputs }) => outputs));
  return results.map((value) => (made.has(value.name) ? value : b.op('Identity', [value])));
}

/** Makes inputs of the reverse body of what it uses of the forward one; gives the stacks by name. */
function feed(r: Reverse, results: readonly Value[]): ReadonlyMap<string, Value> {
  const { c, form, body, b, read } = r;
  const used = new Set(b.nodes.flatMap((node) => operandsOf(node)));
  const factors = r.late.flatMap(({ use }) => use.factor?.name ?? []);
  const stash = new Set(factors.filter((name) => body.b.values.has(name)));
  const names = new Map<string, string>();
  const slices = body.inputs.slice(form.lead + form.states);
  for (const name of used) {
    const value = body.b.values.get(name);
    if (value === undefined || b.values.has(name)) continue;
    const constant = body.b.initializers.get(name);
    if (constant !== undefined) {
      names.set(name, b.constant(constant).name);
      continue;
    }
    names.set(name, b.argument(`${name}.then`, value.dtype, value.shape).name);
    const m = slices.findIndex((slice) => slice.name === name);
    if (m < 0) stash.add(name);
    read.push(
      m < 0
        ? { from: name, slicing: reversed(PLAIN) }
        : { from: c.inputs[form.states + m]!, slicing: reversed(form.scanInputs[m]!) },
    );
  }
  b.nodes.forEach((node, i) => (b.nodes[i] = renameOperands(node, names)));
  if (read.length === 0) readSteps(r, stash);
  return results.length === 0 ? new Map() : giveOut(c, form, body, [...stash]);
}

/** A Scan must read something: here only the number of steps matters. */
function readSteps({ c, form, body, b, read }: Reverse, stash: Set<string>): void {
  const value = body.inputs[form.lead === 0 ? form.states : 0]!;
  b.argument('step', value.dtype, value.shape);
  const slicing = form.scanInputs[0] ?? PLAIN;
  if (form.lead > 0) stash.add(value.name);
  read.push({ from: form.lead > 0 ? value.name : c.inputs[form.states]!, slicing });
}

/** Writes the reverse Scan and takes the gradients of the forward node's operands from it. */
function collect(
  r: Reverse,
  { initial, slicings, slots }: Results,
  results: readonly Value[],
  stacks: ReadonlyMap<string, Value>,
): readonly Maybe[] {
  const { c, form, body, read } = r;
  if (results.length === 0) return [];
  const whole = read.map(({ from }) => (typeof from === 'string' ? stacks.get(from)! : from));
  const outputs = c.b.many(
    'Scan',
    [...initial, ...whole],
    {
      body: closeBody(r.b, 'reverse', results),
      num_scan_inputs: read.length,
      ...lists(
        'input',
        read.map(({ slicing }) => slicing),
      ),
      ...lists('output', slicings),
    },
    results.length,
  );
  const stacked = (name: string): Maybe => {
    const slot = slots.get(name);
    return slot === undefined ? undefined : outputs[slot];
  };
  const found: Maybe[] = c.inputs.map(() => undefined);
  r.states.forEach((i, k) => (found[form.lead + i] = outputs[k]));
  r.sums.forEach((at, k) => (found[at] = outputs[r.states.length + k]));
  for (const m of r.slices) found[form.states + m] = stacked(body.inputs[form.states + m]!.name);
  for (const { at, use } of r.late) {
    const gradients = stacked(use.output.name);
    if (gradients === undefined) continue;
    const factors = use.factor && stacks.get(use.factor.name);
    const part = use.gradient(c.b, gradients, factors);
    const before = found[at];
    found[at] = before === undefined ? part : c.b.op('Add', [before, part]);
  }
  return found;
}

function lists(
  kind: string,
  slicings: readonly Slicing[],
): Readonly<Record<string, readonly number[]>> {
  if (slicings.length === 0) return {};
  return {
    [`scan_${kind}_axes`]: slicings.map(({ axis }) => axis),
    [`scan_${kind}_directions`]: slicings.map(({ direction }) => direction),
  };
}

function zerosLike(b: Builder, value: Value): Value {
  const zeros = b.op('Expand', [b.scalar(0, value), b.shapeOf(value)]);
  return b.adopt({ ...zeros, shape: dims(value) });
}
