import { dims, type Value } from '../../graph/graph.ts';
import { isStatic } from '../../graph/shape.ts';
import { floatTensor } from '../../graph/tensor.ts';
import { perRow, squares, type PerExample, type Tap } from './tap.ts';

/**
 * Scale and bias of a normalisation: the gradient of the scale is δ times what the same operator gives
 * with scale 1 and bias 0, summed over the places that share an element.
 */
export function normalisation(tap: Tap): PerExample | undefined {
  const { b, node, index, inputs, dY, weight } = tap;
  const own = dims(weight);
  if (!isStatic(own) || (index !== 1 && index !== 2)) return undefined;
  const slopes = index === 1 ? b.op('Mul', [dY, standardised(tap, own)]) : dY;
  const summed =
    node.op === 'LayerNormalization' ? overPlaces(tap, slopes) : overImage(tap, slopes, own[0]!);
  if (summed === undefined) return undefined;
  const each = perRow(b, summed);
  return { squares: squares(b, each), each };

  function standardised(t: Tap, shape: readonly number[]): Value {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const one = b.constant(floatTensor(shape, new Float32Array(count).fill(1)));
    const zero = b.constant(floatTensor(shape, new Float32Array(count)));
    const attributes = new Map(t.node.attributes);
    const name = b.unique(`${node.name}.standard`);
    const given = [inputs[0], one, inputs[2] === undefined ? undefined : zero, ...inputs.slice(3)];
    const again = {
      op: node.op,
      domain: '',
      name,
      inputs: given.map((input) => input?.name ?? ''),
      outputs: [name],
      attributes,
    };
    return b.emit(again, given)[0]!;
  }
}

/** [rows, places ..., normalised ...] summed over the places; the weight is as long as what is normalised. */
function overPlaces({ b, weight }: Tap, slopes: Value): Value | undefined {
  const last = dims(slopes).length - dims(weight).length;
  if (last < 1) return undefined;
  const axes = Array.from({ length: last - 1 }, (_, i) => i + 1);
  return axes.length === 0 ? slopes : b.op('ReduceSum', [slopes, b.ints(axes)], { keepdims: 0 });
}

/** [rows, channels, places ...] summed over the places, and over the channels of a group. */
function overImage({ b }: Tap, slopes: Value, count: number): Value | undefined {
  const channels = dims(slopes)[1];
  if (typeof channels !== 'number' || channels % count !== 0) return undefined;
  const grouped = b.op('Reshape', [slopes, b.ints([0, count, -1])]);
  return b.op('ReduceSum', [grouped, b.ints([2])], { keepdims: 0 });
}
