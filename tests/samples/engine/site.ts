import {
  buildTraining,
  initialParameters,
  initialSlots,
  learningRates,
  Trainer,
  type ModelOptions,
} from '@medley/autodiff';

/** One silo's round of FedProx: the first layer is kept, the last is the silo's own. */
export async function localRound(
  model: Uint8Array,
  data: { inputs: Float32Array; labels: Float32Array },
  round: number,
) {
  const roles: ModelOptions = { frozen: ['net.0.*'], local: ['net.4.*'] };
  const artifacts = buildTraining(model, {
    ...roles,
    loss: { kind: 'bce_with_logits', positiveWeight: 3 },
    optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true },
    proximal: { mu: 0.1 },
  });
  const { manifest } = artifacts;
  const trainer = await Trainer.open(artifacts);
  const parameters = initialParameters(model, roles);
  const order = Int32Array.from({ length: data.labels.length }, (_, row) => row);
  const steps = Math.ceil(order.length / 8);
  const schedule = { kind: 'cosine', rate: 0.05, steps: 30 * steps, warmUp: steps } as const;
  const next = await trainer.epoch({
    parameters,
    slots: initialSlots(manifest),
    stepCount: 0,
    ...data,
    order,
    batchSize: 8,
    learningRate: learningRates(schedule, round * steps, steps),
    globalParameters: parameters.slice(0, manifest.trainableCount),
  });
  await trainer.close();
  const shared = manifest.parameters.filter(({ role }) => role !== 'local');
  return shared.map(({ name, offset, count }) => ({
    name,
    values: next.parameters.slice(offset, offset + count),
  }));
}
