import { MedleyError } from '@medley/kit';
import { placeAlone } from './alone.ts';
import { differentiate } from './differentiate.ts';
import { writeModel } from './file/writer.ts';
import { readModel } from './model.ts';
import { gradientPath, unsupportedNodes } from './path.ts';
import { ENGINE_VERSION } from './training/manifest.ts';
import { refusal } from './unsupported.ts';

/**
 * The model with further outputs `NAME_grad`, one for each name in `xs`: the gradient of the sum of
 * all elements of all `ys` with respect to that input, initializer or value in between.
 *
 * `bytes` hold all their tensors and are not changed; the file that comes out is the caller's, of
 * operator set 18. Where the calculus leaves a choice, gradients are PyTorch's (docs/operators.md).
 *
 * Throws MODEL_VALUE_UNKNOWN for a name the model does not have, MODEL_UNSUPPORTED_OPERATOR, and what
 * reading a model throws.
 */
export function gradient(
  bytes: Uint8Array,
  ys: readonly string[],
  xs: readonly string[],
): Uint8Array {
  const model = readModel(bytes);
  const { b, placed } = placeAlone(model);
  const find = (name: string) => {
    const value = placed.values.get(name);
    if (value === undefined)
      throw new MedleyError('MODEL_VALUE_UNKNOWN', `the model has no value "${name}"`);
    return value;
  };
  const [targets, sources] = [ys.map(find), xs.map(find)];
  const path = gradientPath(
    b,
    placed,
    sources.map(({ name }) => name),
    targets.map(({ name }) => name),
  );
  const faults = unsupportedNodes(b, placed, path);
  if (faults.length > 0) throw refusal(faults);
  const seeds = new Map(
    targets.map((y) => [
      y.name,
      b.op('Expand', [b.op('CastLike', [b.scalar(1), y]), b.shapeOf(y)]),
    ]),
  );
  const gradients = differentiate(b, path, seeds, sources);
  const outputs = model.graph.outputs.map(({ name }) => find(name));
  const named = gradients.map((g, i) => b.named(g, `${xs[i]!}_grad`));
  return writeModel(b.graph('gradient', [...outputs, ...named]), {
    producer: 'medley',
    version: ENGINE_VERSION,
  });
}
