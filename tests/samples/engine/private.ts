import {
  buildTraining,
  initialParameters,
  initialSlots,
  privateUpdates,
  Trainer,
} from '@medley/autodiff';
import { systemRng } from '@medley/kit';
import { epsilonOf, noiseFor } from '@medley/privacy';

/** 100 updates of DP-SGD with at most epsilon 3 at delta 10⁻⁵. */
export async function trainPrivately(
  model: Uint8Array,
  data: { inputs: Float32Array; labels: Float32Array },
) {
  const rows = data.labels.length;
  const [rate, steps, delta] = [0.1, 100, 1e-5];
  const noiseMultiplier = noiseFor({ rate, steps, epsilon: 3, delta });
  const artifacts = buildTraining(model, {
    loss: 'bce_with_logits',
    optimizer: { kind: 'sgd' },
    privacy: { clip: 1, lotSize: rate * rows },
  });
  const { manifest } = artifacts;
  const trainer = await Trainer.open(artifacts);
  const { parameters } = await privateUpdates(trainer, {
    parameters: initialParameters(model),
    slots: initialSlots(manifest),
    stepCount: 0,
    ...data,
    rows,
    steps,
    rate,
    noiseMultiplier,
    learningRate: 0.5,
    rng: systemRng,
  });
  await trainer.close();
  const epsilon = epsilonOf({ rate, noiseMultiplier, steps }, delta, 'pld');
  return { parameters, epsilon, method: manifest.privacy?.method };
}
