import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@medley/kit';
import { makeHands, type Hands } from '../../../tests/support/hands.ts';
import { InThreadWork } from './local.ts';
import { createLocalWork, ThreadWork } from './thread.ts';

/** A worker that answers by the task's seed; `port` and `message` are in scope of `body`. */
function worker(body: string): URL {
  const source = `import { parentPort as port } from 'node:worker_threads';
    port.on('message', (message) => {
      if (message.type === 'close') port.close();
      ${body}
    });`;
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

let hands: Hands;
let work: ThreadWork | undefined;
beforeEach(async () => {
  hands = await makeHands();
});
afterEach(async () => {
  await work?.close();
  work = undefined;
  await hands.remove();
});

test('from sources the work runs in the calling thread', async () => {
  const local = createLocalWork({ clock: systemClock });
  expect(local).toBeInstanceOf(InThreadWork);
  await local.close();
  const thread = createLocalWork({ clock: systemClock, inThread: false });
  expect(thread).toBeInstanceOf(ThreadWork);
  await thread.close();
});

describe('a worker thread', () => {
  test('hands back progress and result', async () => {
    work = new ThreadWork(
      worker(`if (message.type === 'perform') {
        port.postMessage({ type: 'progress', id: message.id, progress: { done: 1, total: 2 } });
        port.postMessage({ type: 'done', id: message.id, result: { kind: message.task.kind } });
      }`),
    );
    const seen: unknown[] = [];
    const result = await work.perform(hands.task('statistics'), undefined, (p) => seen.push(p));
    expect(result).toEqual({ kind: 'statistics' });
    expect(seen).toEqual([{ done: 1, total: 2 }]);
  });

  test('hands back coded errors', async () => {
    work = new ThreadWork(
      worker(`if (message.type === 'perform') port.postMessage(
        { type: 'failed', id: message.id, code: 'DATA_TOO_FEW_ROWS', message: 'few' });`),
    );
    await expect(work.perform(hands.task('statistics'))).rejects.toMatchObject({
      name: 'MedleyError',
      code: 'DATA_TOO_FEW_ROWS',
      message: 'few',
    });
  });

  test('is told to cancel the task whose signal aborts', async () => {
    work = new ThreadWork(
      worker(`if (message.type === 'perform') port.postMessage(
          { type: 'progress', id: message.id, progress: { done: 0, total: 9 } });
        if (message.type === 'cancel') port.postMessage(
          { type: 'failed', id: message.id, code: 'INTERRUPTED', message: 'stopped' });`),
    );
    const abort = new AbortController();
    const running = work.perform(hands.task('training'), abort.signal, () => abort.abort());
    await expect(running).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(work.perform(hands.task('training'), abort.signal)).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
  });

  test('that dies fails what waits, and the next task gets a new one', async () => {
    work = new ThreadWork(
      worker(`if (message.type === 'perform' && message.task.seed === 'die') throw new Error('x');
        else if (message.type === 'perform') port.postMessage({ type: 'done', id: message.id, result: 7 });`),
    );
    const dying = work.perform({ ...hands.task('training'), seed: 'die' });
    await expect(dying).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await work.perform(hands.task('training'))).toBe(7);
  });

  test('that ends at close leaves no task waiting', async () => {
    work = new ThreadWork(worker(''));
    const waiting = work.perform(hands.task('training'));
    const closing = work.close();
    await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await closing;
    await expect(work.perform(hands.task('training'))).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
  });
});
