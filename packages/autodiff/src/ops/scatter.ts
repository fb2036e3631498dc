import { dims, intOf, stringOf, type Value } from '../graph/graph.ts';
import type { InferContext } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { inferSame } from './broadcast.ts';
import { zerosLike } from './iota.ts';

/** How a family of indices reads elements, and writes or adds them. */
interface Places {
  readonly read: (from: Value) => Value;
  readonly write: (into: Value, elements: Value, reduction: 'none' | 'add') => Value;
}

function placesOf({ b, op, attributes, inputs: [, indices, updates] }: GradientContext): Places {
  const axis = intOf({ attributes }, 'axis', 0);
  const known = (value: Value, from: Value, like: Value): Value =>
    b.adopt({ ...value, dtype: from.dtype, shape: dims(like) });
  const isByElement = op === 'ScatterElements';
  const own = isByElement ? { axis } : {};
  return {
    read: (from) =>
      known(
        b.op(isByElement ? 'GatherElements' : 'GatherND', [from, indices], own),
        from,
        updates!,
      ),
    write: (into, elements, reduction) =>
      known(b.op(op, [into, indices, elements], { ...own, reduction }), into, into),
  };
}

const scatter: GradientRule = (c, [g]) => {
  const { b, attributes, needs } = c;
  const places = placesOf(c);
  const updates = c.inputs[2]!;
  switch (stringOf({ attributes }, 'reduction', 'none')) {
    case 'add':
      return [g, undefined, needs[2] ? places.read(g!) : undefined];
    case 'none':
      return [
        needs[0] ? places.write(g!, zerosLike(b, updates), 'none') : undefined,
        undefined,
        needs[2] ? places.read(g!) : undefined,
      ];
    default:
      return extremum(c, places, g!);
  }
};

// What ties for the largest or smallest shares the gradient evenly, as torch.amax does.
function extremum({ b, inputs, outputs }: GradientContext, { read, write }: Places, g: Value) {
  const [x, , updates] = inputs;
  const y = outputs[0]!;
  const hit = (one: Value, other: Value): Value =>
    b.op('CastLike', [b.op('Equal', [one, other]), g]);
  const kept = hit(x!, y);
  const taken = hit(updates!, read(y));
  const share = b.op('Div', [g, write(kept, taken, 'add')]);
  return [
    b.op('Mul', [share, kept]),
    undefined,
    b.op('Mul', [read(b.adopt({ ...share, dtype: g.dtype, shape: dims(x!) })), taken]),
  ];
}

const refuse = (c: InferContext): string | undefined =>
  stringOf(c, 'reduction', 'none') === 'mul'
    ? 'its reduction is "mul": multiply by a tensor scattered into ones'
    : undefined;

/** Writing elements by index: those written over get no gradient, several added up get each theirs. */
export const SCATTER: readonly Operator[] = ['ScatterElements', 'ScatterND'].map((op) => ({
  op,
  infer: inferSame,
  gradient: scatter,
  refuse,
  settings: [1],
  convention: 'max and min: what ties shares evenly',
  limits: 'reduction none, add, max or min',
}));
