import { gradient } from '@medley/autodiff';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** How much each number of each row moves the outputs of its model: a saliency map. */
export async function saliency(model: Uint8Array, rows: Float32Array, features: number) {
  const session = await InferenceSession.create(gradient(model, ['output'], ['input']));
  const input = new Tensor('float32', rows, [rows.length / features, features]);
  const { input_grad: result } = await session.run({ input });
  await session.release();
  return result?.data as Float32Array;
}
