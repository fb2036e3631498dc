import { Worker } from 'node:worker_threads';
import { MedleyError, type Clock } from '@medley/kit';
import { closed, InThreadWork } from './local.ts';
import type { FromWorker, ToWorker } from './message.ts';
import type { LocalWork, WorkProgress, WorkResult, WorkTask } from './work.ts';

interface Pending {
  readonly resolve: (result: WorkResult) => void;
  readonly reject: (error: MedleyError) => void;
  readonly onProgress: ((progress: WorkProgress) => void) | undefined;
}

/** Local work in a thread of its own, so that training never holds up the network. */
export class ThreadWork implements LocalWork {
  readonly #entry: URL;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #ended: Promise<void> = Promise.resolve();
  #nextId = 1;
  #isClosed = false;

  /** `entry` is the worker's module. The thread starts with the first task. */
  constructor(entry: URL) {
    this.#entry = entry;
  }

  perform(
    task: WorkTask,
    signal?: AbortSignal,
    onProgress?: (progress: WorkProgress) => void,
  ): Promise<WorkResult> {
    if (this.#isClosed) return Promise.reject(closed());
    if (signal?.aborted)
      return Promise.reject(new MedleyError('INTERRUPTED', 'cancelled at start'));
    const worker = (this.#worker ??= this.#start());
    const id = this.#nextId++;
    const cancel = (): void => post(worker, { type: 'cancel', id });
    signal?.addEventListener('abort', cancel, { once: true });
    return new Promise<WorkResult>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onProgress });
      post(worker, { type: 'perform', id, task });
    }).finally(() => signal?.removeEventListener('abort', cancel));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#worker) post(this.#worker, { type: 'close' });
    await this.#ended;
  }

  #start(): Worker {
    const worker = new Worker(this.#entry);
    worker.on('message', (message: FromWorker) => this.#receive(message));
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    this.#ended = new Promise((resolve) => {
      worker.on('exit', () => {
        this.#fail(cause);
        resolve();
      });
    });
    return worker;
  }

  #receive(message: FromWorker): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    if (message.type === 'progress') {
      pending.onProgress?.(message.progress);
      return;
    }
    this.#pending.delete(message.id);
    if (message.type === 'done') pending.resolve(message.result);
    else pending.reject(new MedleyError(message.code, message.message));
  }

  /** The thread is gone: what waited fails, the next task starts a new thread. */
  #fail(cause: unknown): void {
    this.#worker = undefined;
    const error = this.#isClosed
      ? closed()
      : new MedleyError('INTERNAL', 'the training thread ended unexpectedly', { cause });
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

function post(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}

/**
 * The agent's local work. From compiled code it runs in a worker thread; from TypeScript sources
 * (tests) there is no module a thread could load, so it runs in the calling thread.
 */
export function createLocalWork(options: {
  readonly clock: Clock;
  readonly inThread?: boolean;
}): LocalWork {
  const isSource = import.meta.url.endsWith('.ts');
  if (options.inThread ?? isSource) return new InThreadWork(options.clock);
  return new ThreadWork(new URL('./worker.js', import.meta.url));
}
