import type { Builder } from '../graph/builder.ts';
import { dims, intOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred, Maybe } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { axisOf, type Shape } from '../graph/shape.ts';
import { sumTo } from './broadcast.ts';
import { affine, inverseRoot, lastMean, sharers, vector } from './moments.ts';

/** The first axis that is normalised. */
function axisOfNode(c: Pick<InferContext, 'attributes' | 'inputs'>, rank: number): number {
  return axisOf(intOf(c, 'axis', -1), rank) ?? rank;
}

function inferLayerNorm(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  const shape = x?.shape;
  const rows = shape && statisticsShape(shape, axisOfNode(c, shape.length));
  // Statistics are taken in float32 whatever the input's type (stash_type 1).
  const statistics: Inferred = { dtype: 'float32', shape: rows };
  return [{ dtype: x?.dtype, shape }, statistics, statistics].slice(0, c.outputCount);
}

const statisticsShape = (shape: Shape, axis: number): Shape =>
  shape.map((dim, i) => (i < axis ? dim : 1));

/** The tensors of the node as rows: x and the gradient [rows, size], statistics [rows]. */
interface Rows {
  readonly x: Value;
  readonly g: Value;
  readonly mean: Value;
  readonly inverse: Value;
  /** γ·dY, [rows, size]. */
  readonly scaled: Value;
}

function rowsOf(c: GradientContext, dY: Value): Rows {
  const { b, inputs, demand } = c;
  const [x, scale] = [inputs[0]!, inputs[1]!];
  const axis = axisOfNode(c, dims(x).length);
  const flat = (value: Value): Value =>
    dims(value).length === 2 && axis === 1 ? value : b.op('Flatten', [value], { axis });
  const [rows, g] = [flat(x), flat(dY)];
  const scaled = b.op('Mul', [g, vector(b, scale)]);
  if (x.dtype === 'float32') {
    const shape = statisticsShape(dims(x), axis);
    const [mean, inverse] = [demand(1, 'float32', shape), demand(2, 'float32', shape)];
    return { x: rows, g, mean: vector(b, mean), inverse: vector(b, inverse), scaled };
  }
  const mean = lastMean(b, rows);
  const centred = b.op('Sub', [rows, mean]);
  const inverse = inverseRoot(c, lastMean(b, b.op('Mul', [centred, centred])));
  return { x: rows, g, mean: vector(b, mean), inverse: vector(b, inverse), scaled };
}

const column = (b: Builder, value: Value): Value => b.op('Unsqueeze', [value, b.ints([1])]);

/**
 * dX = 1/σ·(γ·dY − mean(γ·dY) − x̂·mean(γ·dY·x̂)) over each row (Ba, Kiros and Hinton 2016). Sums along
 * rows and over them are products with a vector, the two means are subtracted in one pass.
 */
const layerNorm: GradientRule = (c, [dY, dMean, dInverse]) => {
  const { b, inputs, needs } = c;
  const [input, scale] = [inputs[0]!, inputs[1]!];
  const g = dY ?? b.op('Expand', [b.scalar(0, input), b.shapeOf(input)]);
  const { x, g: rows, mean, inverse, scaled } = rowsOf(c, g);
  const centred = b.op('Sub', [x, column(b, mean)]);
  const products = b.op('Mul', [rows, centred]);
  const weights = b.op('Unsqueeze', [inverse, b.ints([0])]);
  const shaped = (value: Value): Value => b.reshapeLike(value, scale);
  const dScale = needs[1] === true ? shaped(b.op('MatMul', [weights, products])) : undefined;
  const dBias = needs[2] === true ? sumTo(b, g, inputs[2]!) : undefined;
  if (needs[0] !== true) return [undefined, dScale, dBias];
  const size = sharers(b, x, inverse);
  const total = (value: Value): Value =>
    vector(b, b.op('MatMul', [value, column(b, vector(b, scale))]));
  const divided = (value: Value): Value => b.op('Div', [value, size]);
  // The gradient of the output 1/σ comes back as −(x − μ)/(σ³·size), that of μ as 1/size.
  const square = b.op('Mul', [inverse, inverse]);
  const along = divided(b.op('Mul', [square, plus(b, total(products), dInverse)]));
  const free = b.op('Sub', [scaled, b.op('Mul', [centred, column(b, along)])]);
  const pull = b.op('Neg', [b.op('Mul', [inverse, total(rows)])]);
  const shift = divided(plus(b, pull, dMean));
  const channels = b.op('Unsqueeze', [free, b.ints([0])]);
  const dX = b.op('Squeeze', [affine(b, channels, { scale: inverse, shift }), b.ints([0])]);
  return [b.reshapeLike(dX, input), dScale, dBias];
};

function plus(b: Builder, value: Value, extra: Maybe): Value {
  return extra === undefined ? value : b.op('Add', [value, vector(b, extra)]);
}

function refuseLayerNorm(c: InferContext): string | undefined {
  const [x, scale] = c.inputs;
  const rank = x?.shape?.length;
  if (rank === undefined || scale?.shape === undefined) return undefined;
  const rest = x!.shape!.slice(axisOfNode(c, rank));
  const fits =
    rest.length === scale.shape.length &&
    rest.every(
      (dim, i) =>
        typeof dim === 'string' || typeof scale.shape![i] === 'string' || dim === scale.shape![i],
    );
  return fits ? undefined : 'its scale is not as large as what it normalises: expand it';
}

/** LayerNormalization over the last axes; its statistics are outputs too. */
export const LAYER_NORM: readonly Operator[] = [
  {
    op: 'LayerNormalization',
    infer: inferLayerNorm,
    gradient: layerNorm,
    refuse: refuseLayerNorm,
    limits: 'scale of the full normalised shape',
  },
];
