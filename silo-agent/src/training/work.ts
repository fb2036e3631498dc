import type { Charter, RoundKind, SlotValues, Study } from '@medley/study';
import type { SiteData } from '../connectors/site.ts';

/** What every task of one study needs; the worker caches sessions and data under it. */
export interface WorkStudy {
  readonly study: Study;
  readonly charter: Charter;
  /** The forward ONNX model, as pinned by the charter. */
  readonly model: Uint8Array;
}

/** One round's local work. Plain data: it crosses a thread boundary by structured clone. */
export interface WorkTask extends WorkStudy {
  readonly kind: RoundKind;
  readonly site: SiteData;
  /** Encoded model state the round starts from (`encodeModelState`); unused for `statistics`. */
  readonly state: Uint8Array;
  /** Seeds the order of the training rows; fresh from the caller's Rng for each attempt. */
  readonly seed: string;
}

/** Exact figures of one model on one group of test rows at this site. */
export interface LocalMetrics {
  /** Test rows. */
  readonly count: number;
  /** Mean binary cross-entropy. */
  readonly loss: number;
  /** Area under the ROC curve, ties counted 1/2; null when a class is absent. */
  readonly auc: number | null;
  readonly brier: number;
}

/** For this site's own eyes: stays in its home folder, never goes on the wire. */
export interface LocalSummary {
  readonly kind: RoundKind;
  readonly trainRows: number;
  readonly testRows: number;
  /** SHA-256 (hex) of the encoded rows used. */
  readonly fingerprint: string;
  /** The round's starting model on this site's test rows; absent for `statistics`. */
  readonly startingModel?: LocalMetrics;
  /** Present for `training` only. */
  readonly training?: {
    readonly steps: number;
    /** Mean over the steps of each batch's loss before its update. */
    readonly meanLoss: number;
    /** L2 norm of the update before clipping. */
    readonly updateNormL2: number;
    readonly isClipped: boolean;
  };
  readonly elapsedMs: number;
}

export interface WorkResult {
  /** Values per slot of `layoutFor(study, charter, kind)`, before quantisation. */
  readonly values: SlotValues;
  readonly summary: LocalSummary;
}

/** `done` of `total` optimizer steps; `total` is 0 for kinds without training. */
export interface WorkProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * Port: the local part of a round. One task at a time; a second waits for the first.
 */
export interface LocalWork {
  /**
   * Performs the task. Cancelling is cooperative: after `signal` aborts, the promise rejects with
   * INTERRUPTED within about one second, when the running chunk is through. Throws DATA_* for
   * faults of the site's data, MODEL_* for the model, TRAINING_NOT_FINITE or UPDATE_NOT_FINITE for training that diverged.
   */
  perform(
    task: WorkTask,
    signal?: AbortSignal,
    onProgress?: (progress: WorkProgress) => void,
  ): Promise<WorkResult>;
  /** Cancels what runs, waits for it, frees sessions and ends the thread. */
  close(): Promise<void>;
}
