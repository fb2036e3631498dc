import { MedleyError } from '@medley/kit';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** Elements of a tensor, row-major. */
export type Elements =
  | Float32Array
  | Float64Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | BigUint64Array;

/** A tensor that goes into or comes out of a session. */
export interface RuntimeTensor {
  readonly dtype: string;
  readonly dims: readonly number[];
  readonly data: Elements;
}

// One thread, so that sums are always taken in the same order: MatMul is not bit-equal over thread
// counts. "extended" leaves out the fusions that depend on the processor's cache.
const OPTIONS: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'extended',
  // Fatal only: what fails is thrown, and the runtime's warnings may print values.
  logSeverityLevel: 4,
};

/** A graph loaded into the stock ONNX Runtime, on the CPU with one thread. */
export class Session {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /** Throws TRAINING_RUNTIME when the runtime refuses the graph. */
  static async open(model: Uint8Array): Promise<Session> {
    try {
      return new Session(await InferenceSession.create(model, OPTIONS));
    } catch (cause) {
      throw new MedleyError('TRAINING_RUNTIME', `the runtime refuses the graph: ${reason(cause)}`, {
        cause,
      });
    }
  }

  /**
   * Computes the outputs named in `fetches`. The feeds are read during the call only and never changed; the results are
   * fresh. The call blocks the event loop until it is done.
   *
   * Throws TRAINING_RUNTIME when the computation fails.
   */
  async run(
    feeds: Readonly<Record<string, RuntimeTensor>>,
    fetches: readonly string[],
  ): Promise<Readonly<Record<string, RuntimeTensor>>> {
    try {
      const tensors = Object.entries(feeds).map(([name, feed]) => [name, tensorOf(feed)] as const);
      const results = await this.#session.run(Object.fromEntries(tensors), fetches);
      return Object.fromEntries(
        Object.entries(results).map(([name, tensor]) => [name, plain(tensor)]),
      );
    } catch (cause) {
      throw new MedleyError('TRAINING_RUNTIME', `the runtime failed: ${reason(cause)}`, { cause });
    }
  }

  /** Frees the graph; the session cannot be used afterwards. */
  async close(): Promise<void> {
    await this.#session.release();
  }
}

function tensorOf({ dtype, dims, data }: RuntimeTensor): Tensor {
  return new Tensor(dtype as Tensor.Type, data as Tensor.DataType, dims);
}

function plain(tensor: InferenceSession.OnnxValueMapType[string]): RuntimeTensor {
  return { dtype: tensor.type, dims: tensor.dims, data: tensor.data as Elements };
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
