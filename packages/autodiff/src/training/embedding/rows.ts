import type { Builder } from '../../graph/builder.ts';
import { constantOf, dims, type Value } from '../../graph/graph.ts';
import { intTensor } from '../../graph/tensor.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { Embedding } from './lookup.ts';

const INT32 = 6;
const INT64 = 7;

/** A set of numbers below a bound: in order, and where each of them stands. */
export interface Numbered {
  /** [members], int64 */
  readonly list: Value;
  /** [bound], int32: the place of a member in `list`; of other numbers nothing is known. */
  readonly places: Value;
}

/**
 * The numbers of rows that `inputs` may look up, each from 0 to rows − 1, [n] and int64. There may be
 * more of them than are looked up, never fewer; numbers outside of the table are left to the lookup,
 * which refuses them.
 */
export function rowNumbers(
  b: Builder,
  { rows, sources }: Embedding,
  inputs: ReadonlyMap<string, Value>,
  constants: (name: string) => Tensor | undefined,
): Value {
  const parts = sources.map(({ input, nodes }) => {
    const start = b.op('Reshape', [inputs.get(input), b.ints([-1])]);
    const end = nodes.reduce((value, node) => {
      const operands = node.inputs.map((name) => {
        const tensor = name === '' ? undefined : constants(name);
        return name === '' ? undefined : tensor === undefined ? value : b.constant(scalar(tensor));
      });
      const output = b.unique(`${node.outputs[0]!}/rows`);
      const names = operands.map((operand) => operand?.name ?? '');
      return b.emit({ ...node, name: output, inputs: names, outputs: [output] }, operands)[0]!;
    }, start);
    return b.op('Cast', [end], { to: INT64 });
  });
  const all = parts.length === 1 ? parts[0]! : b.op('Concat', parts, { axis: 0 });
  const number = (value: number): Value => b.constant(intTensor([], [value]));
  const isInside = b.op('And', [
    b.op('GreaterOrEqual', [all, number(-rows)]),
    b.op('Less', [all, number(rows)]),
  ]);
  const kept = b.op('Compress', [all, isInside], { axis: 0 });
  const isNegative = b.op('Less', [kept, number(0)]);
  return b.op('Where', [isNegative, b.op('Add', [kept, number(rows)]), kept]);
}

const scalar = (tensor: Tensor): Tensor => ({ ...tensor, dims: [] });

/** The set of `numbers` [n], all from 0 and below `bound` [1]. */
export function numbered(b: Builder, numbers: Value, bound: Value): Numbered {
  const filled = (value: number, shape: Value): Value =>
    b.op('Expand', [b.op('Cast', [b.ints([value])], { to: INT32 }), shape]);
  const ones = filled(1, b.op('Shape', [numbers]));
  const isMember = b.op('ScatterElements', [filled(0, bound), numbers, ones], { axis: 0 });
  const list = b.op('Reshape', [b.op('NonZero', [isMember]), b.ints([-1])]);
  const counted = b.op('CumSum', [isMember, b.constant(intTensor([], [0]))]);
  const places = b.op('Sub', [counted, b.op('Cast', [b.ints([1])], { to: INT32 })]);
  return {
    list: b.adopt({ ...list, dtype: 'int64', shape: [b.fresh()] }),
    places: b.adopt({ ...places, dtype: 'int32', shape: [constantOf(bound)?.[0] ?? b.fresh()] }),
  };
}

/** The rows `list` of `table` [rows, width], as [members, width]. */
export function rowsAt(b: Builder, table: Value, list: Value): Value {
  const rows = b.op('Gather', [table, list], { axis: 0 });
  return b.adopt({ ...rows, dtype: table.dtype, shape: [dims(list)[0]!, dims(table)[1]!] });
}

/** `table` with other `rows` (flat or not) at the places `list`. */
export function withRows(b: Builder, table: Value, list: Value, rows: Value): Value {
  const shaped = b.op('Reshape', [rows, b.ints([-1, dims(table)[1] as number])]);
  const at = b.op('Unsqueeze', [list, b.ints([-1])]);
  return b.adopt({ ...b.op('ScatterND', [table, at, shaped]), ...typeOf(table) });
}

const typeOf = ({ dtype, shape }: Value) => ({ dtype, shape });
