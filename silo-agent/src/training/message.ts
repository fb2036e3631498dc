import type { ErrorCode } from '@medley/kit';
import type { WorkProgress, WorkResult, WorkTask } from './work.ts';

/** To the worker thread. `id` counts the tasks of one thread. */
export type ToWorker =
  | { readonly type: 'perform'; readonly id: number; readonly task: WorkTask }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'close' };

/** From the worker thread; each `perform` is answered by one `done` or `failed`. */
export type FromWorker =
  | { readonly type: 'progress'; readonly id: number; readonly progress: WorkProgress }
  | { readonly type: 'done'; readonly id: number; readonly result: WorkResult }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
    };
