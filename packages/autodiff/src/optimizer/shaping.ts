import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { ClipOptions, GradientOptions, Optimizer, UpdateContext } from './optimizer.ts';
import { toFloats } from './optimizer.ts';
import { perTensor, tensorNorms } from './tensors.ts';

/** Added to a norm before dividing by it, as in torch.nn.utils.clip_grad_norm_. */
const NORM_EPSILON = 1e-6;

/**
 * `optimizer` on a gradient with the terms and the bound of `options`. Their numbers are
 * hyperparameters (`clip_limit`, `proximal_mu`), their vectors inputs (`global_parameters`, `control`).
 */
export function shaped(optimizer: Optimizer, options: GradientOptions): Optimizer {
  const { clip, proximal, control = false } = options;
  if (clip === undefined && proximal === undefined && !control) return optimizer;
  const own = {
    ...(clip === undefined ? {} : { clip_limit: clip.limit }),
    ...(proximal === undefined ? {} : { proximal_mu: proximal.mu }),
  };
  return {
    ...optimizer,
    hyperparameters: { ...optimizer.hyperparameters, ...own },
    vectors: [
      ...(proximal === undefined ? [] : ['global_parameters']),
      ...(control ? ['control'] : []),
    ],
    numbers: (b, hyper, t) => {
      const { clip_limit: limit, proximal_mu: mu, ...rest } = hyper;
      return {
        ...optimizer.numbers(b, rest, t),
        ...(limit === undefined ? {} : toFloats(b, { clip_limit: limit })),
        ...(mu === undefined ? {} : toFloats(b, { proximal_mu: mu })),
      };
    },
    gradients: (pieces) =>
      clipped(
        clip,
        pieces.map((c) => ({ ...c, gradient: withTerms(c, options) })),
      ),
  };
}

function withTerms(c: UpdateContext, { proximal, control = false }: GradientOptions): Value {
  const { b, numbers, vectors = {} } = c;
  let { gradient } = c;
  if (proximal !== undefined) {
    const away = b.op('Sub', [c.parameters, vectors['global_parameters']]);
    gradient = b.op('Add', [gradient, b.op('Mul', [away, numbers['proximal_mu']])]);
  }
  return control ? b.op('Add', [gradient, vectors['control']]) : gradient;
}

function clipped(
  clip: ClipOptions | undefined,
  pieces: readonly UpdateContext[],
): readonly Value[] {
  if (clip === undefined) return pieces.map(({ gradient }) => gradient);
  if (clip.kind === 'norm') return scaledByNorm(pieces);
  return pieces.map(({ b, gradient, numbers, sizes }) => {
    const limit = numbers['clip_limit']!;
    return clip.kind === 'value'
      ? b.op('Clip', [gradient, b.op('Neg', [limit]), limit])
      : perTensor(b, gradient, factor(b, tensorNorms(b, gradient, sizes), limit), sizes);
  });
}

function scaledByNorm(pieces: readonly UpdateContext[]): readonly Value[] {
  const { b, numbers } = pieces[0]!;
  const norms = pieces.map(({ gradient }) => b.op('ReduceL2', [gradient], { keepdims: 0 }));
  const scale = factor(b, together(b, norms), numbers['clip_limit']!);
  return pieces.map(({ gradient }) => b.op('Mul', [gradient, scale]));
}

/** The norm of a vector of which these are the norms of its pieces. */
function together(b: Builder, norms: readonly Value[]): Value {
  if (norms.length === 1) return norms[0]!;
  const list = norms.map((norm) => b.op('Unsqueeze', [norm, b.ints([0])]));
  return b.op('ReduceL2', [b.op('Concat', list, { axis: 0 })], { keepdims: 0 });
}

/** min(1, limit/(norm + 1e-6)). */
function factor(b: Builder, norm: Value, limit: Value): Value {
  const ratio = b.op('Div', [limit, b.op('Add', [norm, b.scalar(NORM_EPSILON)])]);
  return b.op('Min', [ratio, b.scalar(1)]);
}
