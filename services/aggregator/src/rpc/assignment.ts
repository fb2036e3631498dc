import type { Assignment, RoundTask } from '@medley/rpc';
import type { Task } from '../rounds/task.ts';
import type { Entry } from '../rounds/tasks.ts';
import { blobRef } from './fields.ts';

/** An entry as a silo's stream carries it. */
export function assignmentOf(entry: Entry): Assignment {
  return 'notice' in entry ? { study: entry.notice } : { round: roundTask(entry.task) };
}

function roundTask(task: Task): RoundTask {
  const { id, kind, charterHash, model, deadlineMs, sessionId } = task;
  return {
    key: id,
    kind,
    charterHash,
    model: blobRef(model),
    deadlineMs: String(deadlineMs),
    sessionId,
    ...stepOf(task),
  };
}

function stepOf({ step }: Task): Partial<RoundTask> {
  switch (step.step) {
    case 'advertise':
      return { advertise: {} };
    case 'share':
      return { share: { adverts: [...step.adverts] } };
    case 'mask': {
      const { sharers, boxes } = step.delivery;
      const wire = boxes.map((one) => ({ ...one, path: [...one.path] }));
      return { mask: { sharers: [...sharers], boxes: wire } };
    }
    case 'confirm':
      return { confirm: { survivors: [...step.survivors] } };
    case 'release':
      return { release: { confirmations: [...step.confirmations] } };
    case 'closed': {
      const { leaf, index, checkpoint, path } = step.proof;
      return {
        closed: {
          receipt: step.receipt,
          aggregate: blobRef(step.aggregate),
          nextModel: blobRef(step.nextModel),
          proof: { leaf, index: String(index), checkpoint, path: [...path] },
        },
      };
    }
    case 'aborted':
      return { aborted: { reasonCode: step.code, retried: step.retried } };
  }
}
