import { parentPort } from 'node:worker_threads';
import { MedleyError, systemClock } from '@medley/kit';
import { InThreadWork } from './local.ts';
import type { FromWorker, ToWorker } from './message.ts';

/** Answers messages until `close`. The entry of a worker thread: it runs at import. */
function serve(port: NonNullable<typeof parentPort>): void {
  const work = new InThreadWork(systemClock);
  const running = new Map<number, AbortController>();
  const answer = (message: FromWorker): void => port.postMessage(message);

  async function perform(message: ToWorker & { readonly type: 'perform' }): Promise<void> {
    const { id, task } = message;
    const abort = new AbortController();
    running.set(id, abort);
    try {
      const result = await work.perform(task, abort.signal, (progress) =>
        answer({ type: 'progress', id, progress }),
      );
      answer({ type: 'done', id, result });
    } catch (caught) {
      const { code, message: text } = MedleyError.from(caught);
      answer({ type: 'failed', id, code, message: text });
    } finally {
      running.delete(id);
    }
  }

  async function close(): Promise<void> {
    for (const abort of running.values()) abort.abort();
    await work.close();
    // The thread ends by itself: terminate() while the runtime runs would abort the whole process.
    port.close();
  }

  port.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'perform':
        void perform(message);
        return;
      case 'cancel':
        running.get(message.id)?.abort();
        return;
      case 'close':
        void close();
        return;
    }
  });
}

if (parentPort) serve(parentPort);
