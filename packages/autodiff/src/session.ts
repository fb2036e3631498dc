import { MedleyError, sha256, toHex } from '@medley/kit';
import { InferenceSession, Tensor, env } from 'onnxruntime-node';

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

/** Type, sizes and content of a tensor, without the content itself. */
export interface TensorRecord {
  readonly dtype: string;
  readonly dims: readonly number[];
  /** SHA-256 of the elements, row-major and little-endian, lower-case hex. */
  readonly sha256: string;
}

/** One run of a graph: everything that decides its result, and the result, as hashes. */
export interface RunRecord {
  /** SHA-256 of the graph's file, lower-case hex. */
  readonly graphSha256: string;
  /** Name and version of the runtime, with the options that can change bits. */
  readonly runtime: {
    readonly name: 'onnxruntime-node';
    readonly version: string;
    readonly threads: number;
    readonly optimisation: string;
  };
  readonly inputs: Readonly<Record<string, TensorRecord>>;
  readonly outputs: Readonly<Record<string, TensorRecord>>;
}

/** A graph loaded into the stock ONNX Runtime, on the CPU with one thread. */
export class Session {
  readonly #session: InferenceSession;

  readonly #watch: ((inputs: Tensors, outputs: Tensors) => void) | undefined;

  private constructor(
    session: InferenceSession,
    watch?: (inputs: Tensors, outputs: Tensors) => void,
  ) {
    this.#session = session;
    this.#watch = watch;
  }

  /** `onRun` gets a record of every run. Throws TRAINING_RUNTIME when the runtime refuses the graph. */
  static async open(model: Uint8Array, onRun?: (record: RunRecord) => void): Promise<Session> {
    try {
      const session = await InferenceSession.create(model, OPTIONS);
      return new Session(session, onRun && recorder(toHex(sha256(model)), onRun));
    } catch (cause) {
      throw new MedleyError('TRAINING_RUNTIME', `the runtime refuses the graph: ${reason(cause)}`, {
        cause,
      });
    }
  }

  /**
   * Computes the outputs named in `fetches`. The feeds are read during the call only and never changed. A
   * result is written into the tensor that `fetches` has for it, which may share no element with a feed,
   * and is fresh where it has none. The call blocks the event loop until it is done.
   *
   * Throws TRAINING_RUNTIME when the computation fails.
   */
  async run(
    feeds: Tensors,
    fetches: readonly string[] | Readonly<Record<string, RuntimeTensor | null>>,
  ): Promise<Tensors> {
    try {
      const wanted = Array.isArray(fetches)
        ? (fetches as readonly string[])
        : mapped(fetches as Readonly<Record<string, RuntimeTensor | null>>, (tensor) =>
            tensor === null ? null : tensorOf(tensor),
          );
      const outputs = mapped(await this.#session.run(mapped(feeds, tensorOf), wanted), plain);
      this.#watch?.(feeds, outputs);
      return outputs;
    } catch (cause) {
      throw new MedleyError('TRAINING_RUNTIME', `the runtime failed: ${reason(cause)}`, { cause });
    }
  }

  /** Frees the graph; the session cannot be used afterwards. */
  async close(): Promise<void> {
    await this.#session.release();
  }
}

type Tensors = Readonly<Record<string, RuntimeTensor>>;

function mapped<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

function recorder(graphSha256: string, onRun: (record: RunRecord) => void) {
  const runtime = {
    name: 'onnxruntime-node',
    version: env.versions.node ?? 'unknown',
    threads: 1,
    optimisation: 'extended',
  } as const;
  return (inputs: Tensors, outputs: Tensors): void => {
    const hashes = [inputs, outputs].map((tensors) => mapped(tensors, hashed));
    onRun({ graphSha256, runtime, inputs: hashes[0]!, outputs: hashes[1]! });
  };
}

function hashed({ dtype, dims, data }: RuntimeTensor): TensorRecord {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { dtype, dims, sha256: toHex(sha256(bytes)) };
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
