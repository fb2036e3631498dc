import type { Builder } from '../../graph/builder.ts';
import {
  dims,
  floatOf,
  intOf,
  stringOf,
  type Attributes,
  type Graph,
  type Value,
} from '../../graph/graph.ts';
import { closeBody } from '../../graph/body.ts';
import type { InferContext, Maybe } from '../../graph/infer.ts';
import type { LowerContext } from '../../graph/operator.ts';
import { activationsOf } from './activations.ts';
import { CELLS, type Cell, type Setting, type Step } from './cell.ts';

/** What the attributes and shapes of a recurrent node say. */
export interface Form extends Setting {
  readonly cell: Cell;
  /** For each direction, whether it runs from the end. */
  readonly reversed: readonly boolean[];
}

/** The form of a node; undefined when its hidden size is not known. */
export function formOf(c: InferContext): Form | undefined {
  const cell = CELLS[c.op]!;
  const hidden = intOf(c, 'hidden_size', 0) || c.inputs[2]?.shape?.[2];
  if (typeof hidden !== 'number') return undefined;
  const direction = stringOf(c, 'direction', 'forward');
  return {
    cell,
    hidden,
    clip: floatOf(c, 'clip', 0),
    isCoupled: cell.coupling !== undefined && intOf(c, cell.coupling, 0) !== 0,
    reversed: direction === 'bidirectional' ? [false, true] : [direction === 'reverse'],
  };
}

/** The activations of all directions, undefined when one is not known. */
export function functionsOf(c: { readonly attributes: Attributes }, { cell, reversed }: Form) {
  const names = reversed.flatMap(() => cell.activations);
  return activationsOf(c, names.length, names);
}

/** An optional input; exporters also give one without elements for none. */
const given = (value: Maybe): Maybe => (value?.shape?.includes(0) === true ? undefined : value);

/**
 * Writes RNN, GRU or LSTM as a Scan for each direction. The input's part of all gates is one product
 * over all steps; steps after the end of a sequence keep the states and give zeros, which also lets
 * the reverse direction begin at each sequence's own end.
 */
export function lower(c: LowerContext): readonly Maybe[] {
  const { b, wants } = c;
  const form = formOf(c)!;
  const functions = functionsOf(c, form)!;
  const { cell, reversed } = form;
  const [x, w, r, bias, lengths, ...initial] = c.inputs.map(given);
  const steps = x!;
  const split = (value: Maybe): readonly Maybe[] =>
    value === undefined ? reversed.map(() => undefined) : along(b, value, reversed.length);
  const [ws, rs, biases, peepholes] = [w, r, bias, initial[2]].map(split);
  const batch = dims(steps)[1]!;
  const starts = initial
    .slice(0, cell.states)
    .map((value) =>
      split(value).map((state) => state && b.adopt({ ...state, shape: [batch, form.hidden] })),
    );
  const rest = firstStates(b, steps, form, starts.flat());
  const mask = lengths && maskOf(b, steps, lengths);
  const each = reversed.map((isReversed, d) => {
    const { input, recurrent } = biasesOf(b, form, biases![d]);
    const direction = {
      recurrent: rs![d]!,
      bias: recurrent,
      peepholes: peepholes![d],
      activations: functions.slice(d * cell.activations.length, (d + 1) * cell.activations.length),
    };
    const gates = projected(b, steps, ws![d]!, input, form);
    const step = cell.open(b, direction, form);
    const first = starts.map((states) => states[d] ?? rest());
    while (first.length < cell.states) first.push(rest());
    return scan(b, { step, first, gates, mask, isReversed, hasOutput: wants[0] === true });
  });
  const finals = Array.from({ length: cell.states }, (_, s) =>
    wants[s + 1] === true
      ? stack(
          b,
          each.map(({ states }) => states[s]!),
          0,
        )
      : undefined,
  );
  const outputs = each.flatMap(({ output }) => output ?? []);
  return [outputs.length > 0 ? stack(b, outputs, 1) : undefined, ...finals];
}

/** The entries of a tensor along its first axis. */
function along(b: Builder, value: Value, count: number): readonly Value[] {
  const parts =
    count === 1
      ? [value]
      : b.many(
          'Split',
          [value, b.ints(Array.from({ length: count }, () => 1))],
          { axis: 0 },
          count,
        );
  return parts.map((part) => b.op('Squeeze', [part, b.ints([0])]));
}

function stack(b: Builder, values: readonly Value[], axis: number): Value {
  const parts = values.map((value) => b.op('Unsqueeze', [value, b.ints([axis])]));
  return parts.length === 1 ? parts[0]! : b.op('Concat', parts, { axis });
}

/** The input's part of the gates, [steps, batch, gates·hidden], as one product. */
function projected(b: Builder, x: Value, w: Value, bias: Maybe, { cell, hidden }: Form): Value {
  const rows = b.op('Flatten', [x], { axis: 2 });
  const gates = b.op('Gemm', [rows, w, ...(bias === undefined ? [] : [bias])], { transB: 1 });
  const [time, batch] = dims(x);
  const width = cell.gates * hidden;
  const sizes =
    typeof batch === 'number'
      ? b.ints([-1, batch, width])
      : b.op('Concat', [b.ints([-1]), b.op('Shape', [x], { start: 1, end: 2 }), b.ints([width])], {
          axis: 0,
        });
  return b.adopt({ ...b.op('Reshape', [gates, sizes]), shape: [time!, batch!, width] });
}

/** Both biases as one, except where a GRU adds one before its reset gate. */
function biasesOf(b: Builder, form: Form, bias: Maybe): { input: Maybe; recurrent: Maybe } {
  if (bias === undefined) return { input: undefined, recurrent: undefined };
  const width = form.cell.gates * form.hidden;
  const [w, r] = b.many('Split', [bias, b.ints([width, width])], { axis: 0 }, 2);
  if (!(form.cell === CELLS['GRU'] && form.isCoupled))
    return { input: b.op('Add', [w, r]), recurrent: undefined };
  return { input: w, recurrent: r };
}

/** Makes zeros, [batch, hidden], when a first state is missing. */
function firstStates(b: Builder, x: Value, { hidden }: Form, known: readonly Maybe[]): () => Value {
  let zeros: Value | undefined;
  return () => {
    const batch = dims(x)[1]!;
    const like = known.find((state) => state !== undefined);
    if (zeros !== undefined) return zeros;
    const sizes =
      typeof batch === 'number'
        ? b.ints([batch, hidden])
        : like !== undefined
          ? b.shapeOf(like)
          : b.op('Concat', [b.op('Shape', [x], { start: 1, end: 2 }), b.ints([hidden])], {
              axis: 0,
            });
    const made = b.op('Expand', [b.scalar(0, x), sizes]);
    zeros = b.adopt({ ...made, shape: [batch, hidden] });
    return zeros;
  };
}

/** Which steps lie within each sequence: bool [steps, batch, 1]. */
function maskOf(b: Builder, x: Value, lengths: Value): Value {
  const [time, batch] = dims(x);
  const last = b.op('Squeeze', [b.op('Shape', [x], { start: 0, end: 1 }), b.ints([0])]);
  const ends = b.op('Unsqueeze', [b.op('Cast', [lengths], { to: 7 }), b.ints([0, 2])]);
  const [zero, one] = [0, 1].map((n) => b.op('Squeeze', [b.ints([n]), b.ints([0])]));
  const at = b.op('Unsqueeze', [b.op('Range', [zero, last, one]), b.ints([1, 2])]);
  return b.adopt({ ...b.op('Less', [at, ends]), shape: [time!, batch!, 1] });
}

interface Run {
  readonly step: Step;
  readonly first: readonly Value[];
  readonly gates: Value;
  readonly mask: Maybe;
  readonly isReversed: boolean;
  readonly hasOutput: boolean;
}

function scan(b: Builder, run: Run) {
  const { first, gates, mask, isReversed, hasOutput } = run;
  const whole = mask === undefined ? [gates] : [gates, mask];
  const direction = isReversed ? 1 : 0;
  const results = b.many(
    'Scan',
    [...first, ...whole],
    {
      body: bodyOf(b, run),
      num_scan_inputs: whole.length,
      scan_input_directions: whole.map(() => direction),
      ...(hasOutput ? { scan_output_directions: [direction] } : {}),
    },
    first.length + (hasOutput ? 1 : 0),
  );
  return { states: results.slice(0, first.length), output: results[first.length] };
}

function bodyOf(outer: Builder, { step, first, gates, mask, hasOutput }: Run): Graph {
  const b = outer.subgraph();
  const states = first.map((state) => b.argument('state', state.dtype, state.shape));
  const x = b.argument('gates', gates.dtype, dims(gates).slice(1));
  const isInside = mask && b.argument('inside', 'bool', dims(mask).slice(1));
  const made = step(b, x, states);
  const next =
    isInside === undefined
      ? made
      : made.map((value, i) => b.op('Where', [isInside, value, states[i]]));
  const output =
    isInside === undefined ? made[0]! : b.op('Where', [isInside, made[0], b.scalar(0, made[0])]);
  return closeBody(b, 'step', hasOutput ? [...next, output] : next);
}
