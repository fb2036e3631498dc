import { intOf } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { Operator } from '../graph/operator.ts';
import { inferSame } from './broadcast.ts';

const open =
  (rank: number) =>
  (c: InferContext): readonly Inferred[] => [
    { dtype: c.inputs[0]?.dtype, shape: Array.from({ length: rank }, c.fresh) },
  ];

function inferGridSample({ inputs: [x, grid] }: InferContext): readonly Inferred[] {
  const isKnown = x?.shape !== undefined && grid?.shape !== undefined;
  const shape = isKnown ? [...x.shape.slice(0, 2), ...grid.shape.slice(1, -1)] : undefined;
  return [{ dtype: x?.dtype, shape }];
}

function inferRegions(c: InferContext): readonly Inferred[] {
  const [x, regions] = c.inputs;
  const sides = [intOf(c, 'output_height', 1), intOf(c, 'output_width', 1)];
  const isAlign = c.op === 'RoiAlign';
  const shape = [regions?.shape?.[0] ?? c.fresh(), x?.shape?.[1] ?? c.fresh()];
  return [{ dtype: x?.dtype, shape: [...shape, ...(isAlign ? sides : [c.fresh(), c.fresh()])] }];
}

const inferResized = (c: InferContext): readonly Inferred[] => [
  { dtype: c.inputs[0]?.dtype, shape: c.inputs[0]?.shape?.map(c.fresh) },
];

const QUANTIZED = 'export the model before it is quantized';
const SPECTRUM = 'compute spectra before training and give them to the model as inputs';
const REGIONS = 'train the part before it, and take regions with Slice, Resize and pooling';

const SEQUENCES = [
  'SequenceConstruct',
  'SequenceInsert',
  'SequenceAt',
  'SequenceMap',
  'SplitToSequence',
  'ConcatFromSequence',
  'Optional',
  'OptionalGetElement',
].map(
  (op) => [op, 'export without lists of tensors: use Split, Concat and Gather', () => []] as const,
);

const REFUSED: readonly (readonly [op: string, advice: string, infer: Operator['infer']])[] = [
  [
    'GridSample',
    'sample at fixed places with Resize, or keep it before all weights',
    inferGridSample,
  ],
  ['AffineGrid', 'make the grid before training and give it as an input', open(4)],
  ['RoiAlign', REGIONS, inferRegions],
  ['MaxRoiPool', REGIONS, inferRegions],
  ['DeformConv', 'use Conv with dilations', open(4)],
  ['Col2Im', 'use ConvTranspose', open(3)],
  [
    'Det',
    'write the determinant of small matrices as products',
    ({ inputs: [x] }) => [{ dtype: x?.dtype, shape: x?.shape?.slice(0, -2) }],
  ],
  ['CenterCropPad', 'use Slice and Pad', inferResized],
  ...SEQUENCES,
  ['Unique', 'use it on integers only', open(1)],
  ['DFT', SPECTRUM, inferSame],
  ['STFT', SPECTRUM, open(4)],
  [
    'DequantizeLinear',
    QUANTIZED,
    ({ inputs: [x, scale] }) => [{ dtype: scale?.dtype, shape: x?.shape }],
  ],
  ['MatMulInteger', QUANTIZED, () => []],
  ['ConvInteger', QUANTIZED, () => []],
  ['QLinearMatMul', QUANTIZED, () => []],
  ['QLinearConv', QUANTIZED, () => []],
];

/** Operators that run but through which no gradient is known here, with what to do instead. */
export const REFUSALS: readonly Operator[] = REFUSED.map(([op, advice, infer]) => ({
  op,
  infer,
  advice,
}));
