import type { Builder } from '../graph/builder.ts';
import { dims, intOf, stringOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import type { Dim } from '../graph/shape.ts';
import { combine, known, reshape, sizeAt } from './sizes.ts';

function inferDepth(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  const side = intOf(c, 'blocksize', 1);
  if (x?.shape?.length !== 4) return [{ dtype: x?.dtype, shape: undefined }];
  const times = (dim: Dim, factor: number): Dim =>
    factor === 1 ? dim : typeof dim === 'number' ? Math.floor(dim * factor) : c.fresh();
  const [n, channels, height, width] = x.shape as readonly [Dim, Dim, Dim, Dim];
  const [deeper, larger] =
    c.op === 'SpaceToDepth' ? [side * side, 1 / side] : [1 / (side * side), side];
  return [
    {
      dtype: x.dtype,
      shape: [n, times(channels, deeper), times(height, larger), times(width, larger)],
    },
  ];
}

const spaceToDepth: GradientRule = ({ b, attributes, inputs: [x] }, [g]) => {
  const blocksize = intOf({ attributes }, 'blocksize', 1);
  return [known(b, b.op('DepthToSpace', [g], { blocksize, mode: 'DCR' }), x!, dims(x!))];
};

// The inverse exists as an operator for the default order of channels only.
const depthToSpace: GradientRule = ({ b, attributes, inputs: [x] }, [g]) => {
  const side = intOf({ attributes }, 'blocksize', 1);
  const isDefault = stringOf({ attributes }, 'mode', 'DCR') === 'DCR';
  const made = isDefault ? b.op('SpaceToDepth', [g], { blocksize: side }) : gathered(b, g!, side);
  return [known(b, made, x!, dims(x!))];
};

/** [N, C, H·s, W·s] as [N, C·s·s, H, W] with the places inside a block varying fastest. */
function gathered(b: Builder, g: Value, side: number): Value {
  const [n, channels] = [sizeAt(b, g, 0), sizeAt(b, g, 1)];
  const [height, width] = [2, 3].map((axis) => combine(b, 'Div', sizeAt(b, g, axis), side));
  const split = reshape(b, g, [n, channels, height!, side, width!, side]);
  const turned = b.op('Transpose', [split], { perm: [0, 1, 3, 5, 2, 4] });
  return reshape(b, turned, [n, combine(b, 'Mul', channels, side * side), height!, width!]);
}

/** DepthToSpace and SpaceToDepth: each moves elements back where the other took them from. */
export const DEPTH: readonly Operator[] = [
  { op: 'DepthToSpace', infer: inferDepth, gradient: depthToSpace },
  { op: 'SpaceToDepth', infer: inferDepth, gradient: spaceToDepth },
];
