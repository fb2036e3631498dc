import {
  buildTraining,
  exportModel,
  fit,
  initialParameters,
  initialSlots,
  inspectModel,
  Trainer,
} from '@medley/autodiff';
import { permutation, seededRng, systemClock } from '@medley/kit';

/** Trains a model that gives logits [batch, classes]; returns it with its new weights. */
export async function classify(
  model: Uint8Array,
  data: { inputs: Float32Array; labels: Int32Array },
) {
  const { unsupported, warnings } = inspectModel(model);
  for (const { node, op, reason, advice } of unsupported) console.error(node, op, reason, advice);
  for (const { sentence, advice } of warnings) console.error(sentence, advice);

  const artifacts = buildTraining(model, {
    loss: { kind: 'cross_entropy', labelSmoothing: 0.1 },
    optimizer: { kind: 'adamw', weightDecay: 0.01 },
    clip: { kind: 'norm', limit: 1 },
  });
  const trainer = await Trainer.open(artifacts);
  const rng = seededRng('order of the rows');
  const { state, losses } = await fit(
    trainer,
    {
      parameters: initialParameters(model),
      slots: initialSlots(artifacts.manifest),
      stepCount: 0,
      ...data,
      orders: Array.from({ length: 20 }, () => permutation(rng, data.labels.length)),
      batchSize: 16,
      learningRate: 0.01,
    },
    { clock: systemClock },
  );
  const { meanLoss } = await trainer.evaluate({ parameters: state.parameters, ...data });
  await trainer.close();
  return { model: exportModel(model, state.parameters), losses, meanLoss };
}
