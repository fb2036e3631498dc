import { Worker } from 'node:worker_threads';
import { MedleyError } from '@medley/kit';
import { threadMasker, type Masker } from './masker.ts';
import type { Mask } from './masks.ts';

/** One thread's part: a range of the shared vector, whole CTR blocks. */
export interface MaskJob {
  readonly memory: SharedArrayBuffer;
  /** Words. */
  readonly start: number;
  readonly length: number;
  /** Place of the range in the vector. */
  readonly firstWord: number;
  readonly masks: readonly Mask[];
}

/**
 * Words × masks below which the calling thread does the work: a thread takes about 40 ms to start and
 * a fraction of a millisecond to be told, the work below takes about as long.
 */
const MIN_WORK = 2 ** 24;
/** Ranges begin at multiples of this: whole pieces, which are whole blocks of the cipher. */
const GRAIN_WORDS = 16_384;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: MedleyError) => void;
}

/**
 * A masker for a machine with `threads` cores (`availableParallelism()`): worker threads for work that
 * outweighs handing it over, the calling thread for the rest. Threads start with the first such work.
 * From TypeScript sources (tests) there is no module a thread could load: all is done in the caller.
 */
export function createMasker({ threads }: { readonly threads: number }): Masker {
  const isSource = import.meta.url.endsWith('.ts');
  if (isSource || threads < 2) return threadMasker;
  return new MaskPool(threads, new URL('./maskWorker.js', import.meta.url), threadMasker);
}

/** Splits vectors into ranges, one for each worker thread. {@link createMasker} makes it. */
export class MaskPool implements Masker {
  readonly #threads: number;
  readonly #entry: URL;
  readonly #small: Masker;
  #workers: MaskThread[] = [];
  #isClosed = false;

  /** `entry` is the worker's module; `small` takes what is not worth a thread. */
  constructor(threads: number, entry: URL, small: Masker) {
    this.#threads = threads;
    this.#entry = entry;
    this.#small = small;
  }

  vector(length: number): Uint32Array {
    return new Uint32Array(new SharedArrayBuffer(4 * length));
  }

  async apply(target: Uint32Array, masks: readonly Mask[]): Promise<void> {
    if (this.#isClosed) throw new MedleyError('INTERRUPTED', 'the masking threads are closed');
    const { buffer: memory } = target;
    if (target.length * masks.length < MIN_WORK || !(memory instanceof SharedArrayBuffer)) {
      return this.#small.apply(target, masks);
    }
    const share = Math.ceil(target.length / this.#threads / GRAIN_WORDS) * GRAIN_WORDS;
    const jobs: Promise<void>[] = [];
    for (let from = 0; from < target.length; from += share) {
      const length = Math.min(share, target.length - from);
      const start = target.byteOffset / 4 + from;
      jobs.push(this.#worker(jobs.length).run({ memory, start, length, firstWord: from, masks }));
    }
    await Promise.all(jobs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#workers.map((worker) => worker.close()));
    this.#workers = [];
  }

  #worker(index: number): MaskThread {
    const known = this.#workers[index];
    if (known?.isAlive === true) return known;
    const worker = new MaskThread(this.#entry);
    this.#workers[index] = worker;
    return worker;
  }
}

class MaskThread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  isAlive = true;

  constructor(entry: URL) {
    this.#worker = new Worker(entry);
    // A thread that waits for work must not keep the process alive.
    this.#worker.unref();
    this.#worker.on('message', () => this.#waiting.shift()?.resolve());
    this.#worker.on('error', (cause: unknown) => this.#fail(cause));
    this.#worker.on('exit', () => this.#fail(undefined));
  }

  /** Jobs are answered in the order in which they were given. */
  run(job: MaskJob): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage(job);
    }).finally(() => {
      if (this.#waiting.length === 0) this.#worker.unref();
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #fail(cause: unknown): void {
    this.isAlive = false;
    const error = new MedleyError('INTERNAL', 'a masking thread ended unexpectedly', { cause });
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
