import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import { floatTensor } from '../graph/tensor.ts';
import { combine, type Loss } from './loss.ts';
import type { LossOf } from './options.ts';

/** Least logarithm of a hazard below the batch's largest: e^−700 is still above 0 in double. */
const LEAST_LOG_HAZARD = -700;
const DOUBLE = 11;

/**
 * Cox's negative log partial likelihood (Cox 1975) of log hazards [batch] or [batch, 1]; labels are
 * [batch, 2] of event (0 or 1) and time, with strata a third column.
 *
 * The rows depend on each other: the risk set of an event are the rows of its stratum that are still
 * there at its time, each with its weight, so that a row of weight 0 is in no risk set. The loss of a
 * row is 0 without an event, else ln Σ wⱼ·e^ηⱼ − η; the mean weighs these by wᵢ / Σ w, which are the case
 * weights of R's coxph. Efron's correction spreads the events of one time evenly over them. Sums are
 * made in double; hazards more than e^700 apart count as that far apart.
 */
export function cox(options: LossOf<'cox'>): Loss {
  const { strata = 1, ties = 'breslow' } = options;
  const columns = strata > 1 ? 3 : 2;
  return {
    labelDtype: 'float32',
    labelShape: (output) =>
      output.length === 1 || (output.length === 2 && output[1] === 1)
        ? [output[0]!, columns]
        : undefined,
    wants: 'an output [batch] or [batch, 1] of log hazards',
    labelRule: () => ({ kind: 'survival', strata }),
    of: (b, output, labels, weights) => {
      const cohort = inOrder(b, { output, labels, weights, strata });
      const risk = riskSums(b, cohort);
      const log =
        ties === 'breslow' ? b.op('Log', [alive(b, cohort, risk)]) : efron(b, cohort, risk);
      const gap = b.op('Mul', [b.op('Sub', [log, cohort.logHazard]), cohort.isEvent]);
      const single = b.op('Cast', [b.op('GatherElements', [gap, cohort.back], { axis: 0 })], {
        to: 1,
      });
      const rows = b.adopt({ ...single, shape: dims(weights) });
      return { rows, mean: combine(b, { rows, weights }) };
    },
  };
}

/** Rows by falling time; numbers are float64 [rows]. */
interface Cohort {
  readonly strata: number;
  /** ln hazard less the largest of the batch. */
  readonly logHazard: Value;
  /** Weight times hazard. */
  readonly hazard: Value;
  /** 1 for an event in a row that counts. */
  readonly isEvent: Value;
  /** True where the weight is above 0. */
  readonly counts: Value;
  /** Stratum, int64 [rows]. */
  readonly stratum: Value;
  /** Number of the group of equal times, int64 [rows]. */
  readonly group: Value;
  /** Index of the last row of the same time, int64 [rows]. */
  readonly end: Value;
  /** Index of each row of the batch in this order, int64 [rows]. */
  readonly back: Value;
}

function inOrder(
  b: Builder,
  c: {
    readonly output: Value;
    readonly labels: Value;
    readonly weights: Value;
    readonly strata: number;
  },
): Cohort {
  const size = b.shapeOf(c.weights);
  const columns = c.strata > 1 ? 3 : 2;
  const column = b
    .many(
      'Split',
      [c.labels, b.ints(Array.from({ length: columns }, () => 1))],
      { axis: 1 },
      columns,
    )
    .map((part) => b.op('Reshape', [part, b.ints([-1])]));
  const [time, order] = b.many('TopK', [column[1], size], { axis: 0, largest: 1 }, 2) as [
    Value,
    Value,
  ];
  const [, back] = b.many('TopK', [order, size], { axis: 0, largest: 0 }, 2) as [Value, Value];
  const sorted = (value: Value): Value => b.op('GatherElements', [value, order], { axis: 0 });
  const double = (value: Value): Value => b.op('Cast', [value], { to: DOUBLE });

  const weight = sorted(c.weights);
  const counts = b.op('Greater', [weight, b.scalar(0)]);
  const plain = sorted(b.op('Reshape', [c.output, b.ints([-1])]));
  const highest = b.op('ReduceMax', [b.op('Where', [counts, plain, b.scalar(-1e30)])], {
    keepdims: 0,
  });
  // Rounded up, the shift is no function of the output that a gradient would flow through.
  const shift = double(b.op('Ceil', [highest]));
  const logHazard = b.op('Sub', [double(b.op('Where', [counts, plain, b.scalar(0)])), shift]);
  const held = b.op('Clip', [
    logHazard,
    b.scalar(LEAST_LOG_HAZARD, logHazard),
    b.scalar(1, logHazard),
  ]);
  const hasEvent = b.op('And', [b.op('Greater', [sorted(column[0]!), b.scalar(0)]), counts]);
  return {
    strata: c.strata,
    logHazard,
    hazard: b.op('Mul', [b.op('Exp', [held]), double(weight)]),
    isEvent: double(hasEvent),
    counts,
    stratum:
      column[2] === undefined
        ? b.op('Sub', [order, order])
        : b.op('Cast', [sorted(column[2])], { to: 7 }),
    back,
    ...ties(b, time),
  };
}

/** Groups of equal neighbours in a falling list. */
function ties(b: Builder, time: Value) {
  const far = b.ints([Number.MAX_SAFE_INTEGER]);
  const zero = b.ints([0]);
  const next = b.op('Slice', [time, b.ints([1]), far, zero]);
  // Nothing equals NaN: the last row ends its group.
  const ahead = b.op('Concat', [next, b.constant(floatTensor([1], [NaN]))], { axis: 0 });
  const isLast = b.op('Not', [b.op('Equal', [time, ahead])]);
  const ends = b.op('Squeeze', [b.op('NonZero', [isLast]), zero]);
  const marks = b.op('Cast', [isLast], { to: 7 });
  const group = b.op('CumSum', [marks, b.constant(axisZero())], { exclusive: 1 });
  return { group, end: b.op('GatherElements', [ends, group], { axis: 0 }) };
}

function axisZero() {
  return { dtype: 'int64', dims: [], bytes: new Uint8Array(8) } as const;
}

/** Running sums of `value` down the rows of the own stratum, read at row `at` (or each row itself). */
function running(b: Builder, c: Cohort, value: Value, at: Value | undefined): Value {
  const axis = b.constant(axisZero());
  if (c.strata === 1) {
    const sums = b.op('CumSum', [value, axis]);
    return at === undefined ? sums : b.op('GatherElements', [sums, at], { axis: 0 });
  }
  const numbers = b.constant({
    dtype: 'int64',
    dims: [1, c.strata],
    bytes: new Uint8Array(BigInt64Array.from({ length: c.strata }, (_, i) => BigInt(i)).buffer),
  });
  const column = b.op('Unsqueeze', [c.stratum, b.ints([1])]);
  const isOwn = b.op('Cast', [b.op('Equal', [column, numbers])], { to: DOUBLE });
  const grid = b.op('Mul', [b.op('Unsqueeze', [value, b.ints([1])]), isOwn]);
  const sums = b.op('CumSum', [grid, axis]);
  const read =
    at === undefined
      ? sums
      : b.op(
          'GatherElements',
          [sums, b.op('Expand', [b.op('Unsqueeze', [at, b.ints([1])]), b.shapeOf(sums)])],
          { axis: 0 },
        );
  return b.op('ReduceSum', [b.op('Mul', [read, isOwn]), b.ints([1])], { keepdims: 0 });
}

/** Σ wⱼ·e^ηⱼ over the risk set of each row. */
function riskSums(b: Builder, c: Cohort): Value {
  return running(b, c, c.hazard, c.end);
}

/** `value` where the row counts, else 1, of which a logarithm can be taken. */
function alive(b: Builder, c: Cohort, value: Value): Value {
  return b.op('Where', [c.counts, value, b.scalar(1, value)]);
}

/** The mean over the m events of one time and stratum of ln(R − k/m·D), k = 0 … m − 1. */
function efron(b: Builder, c: Cohort, risk: Value): Value {
  const numbers = b.constant({
    dtype: 'int64',
    dims: [],
    bytes: new Uint8Array(BigInt64Array.of(BigInt(c.strata)).buffer),
  });
  const place = b.op('Add', [b.op('Mul', [c.group, numbers]), c.stratum]);
  const room = b.op('Mul', [b.op('Shape', [c.group]), b.ints([c.strata])]);
  const zeros = b.op('Expand', [b.scalar(0, risk), room]);
  const together = (value: Value): Value =>
    b.op(
      'GatherElements',
      [b.op('ScatterElements', [zeros, place, value], { axis: 0, reduction: 'add' }), place],
      { axis: 0 },
    );
  const eventCount = b.op('Max', [together(c.isEvent), b.scalar(1, risk)]);
  const dying = together(b.op('Mul', [c.hazard, c.isEvent]));
  const before = b.op('Sub', [running(b, c, c.isEvent, c.end), eventCount]);
  const rank = b.op('Sub', [
    b.op('Sub', [running(b, c, c.isEvent, undefined), b.scalar(1, risk)]),
    before,
  ]);
  const share = b.op('Mul', [b.op('Div', [rank, eventCount]), dying]);
  const left = b.op('Sub', [risk, b.op('Mul', [share, c.isEvent])]);
  const log = b.op('Mul', [b.op('Log', [alive(b, c, left)]), c.isEvent]);
  return b.op('Div', [together(log), eventCount]);
}
