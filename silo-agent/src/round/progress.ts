import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBase64, MedleyError, toBase64, writeLazily, type JsonSchema } from '@medley/kit';
import { initialParameters } from '@medley/autodiff';
import { encodeModelState, firstRound, lastRound, modelStateHash } from '@medley/study';
import { readDocument, readIfThere, writeDocument } from '../file.ts';
import type { PinnedStudy } from '../study/folder.ts';

/** What this silo has verified of a study so far. */
export interface Progress {
  /** The round that may come next; beyond the last one when the study is complete. */
  readonly nextRound: number;
  /** Hash of the model state it must start from, hex. */
  readonly modelHash: string;
  /** Newest checkpoint of the log that this silo has seen. */
  readonly checkpoint: SeenCheckpoint | undefined;
}

/** The log may grow from here, but never be another log. */
export interface SeenCheckpoint {
  readonly size: number;
  readonly root: Uint8Array;
}

interface ProgressFile {
  readonly medley: 'progress/v1';
  readonly nextRound: number;
  readonly modelHash: string;
  readonly checkpoint?: { readonly size: number; readonly root: string };
}

const SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['medley', 'nextRound', 'modelHash'],
  properties: {
    medley: { const: 'progress/v1' },
    nextRound: { type: 'integer', minimum: 0 },
    modelHash: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    checkpoint: {
      type: 'object',
      additionalProperties: false,
      required: ['size', 'root'],
      properties: { size: { type: 'integer', minimum: 1 }, root: { type: 'string' } },
    },
  },
};

/** The state before the first round: the model's own weights, nothing standardised. */
export function initialState(model: Uint8Array): Uint8Array {
  return encodeModelState({ parameters: initialParameters(model), standardisation: null });
}

/** Verified progress of one study on disk: progress.json and the model state it names. */
export class ProgressStore {
  readonly #folder: string;
  readonly #pinned: PinnedStudy;
  #initial: Uint8Array | undefined;
  /** What state.bin holds, once written here. */
  #written: { readonly hash: string; readonly sizeBytes: number } | undefined;
  /** What progress.json says, once read; undefined again after a write whose end is not known. */
  #known: Progress | undefined;

  constructor(folder: string, pinned: PinnedStudy) {
    this.#folder = folder;
    this.#pinned = pinned;
  }

  /** Where the study stands; its beginning when nothing is on disk. Throws AGENT_STATE_INVALID. */
  async load(): Promise<Progress> {
    return (this.#known ??= await this.#read());
  }

  async #read(): Promise<Progress> {
    const file = await readDocument<ProgressFile>(join(this.#folder, 'progress.json'), SCHEMA);
    if (!file) {
      return {
        nextRound: firstRound(this.#pinned.study),
        modelHash: modelStateHash(this.#initialState()),
        checkpoint: undefined,
      };
    }
    const { nextRound, modelHash, checkpoint } = file;
    if (nextRound > lastRound(this.#pinned.study) + 1) {
      throw new MedleyError(
        'AGENT_STATE_INVALID',
        `${this.#folder}/progress.json: round ${String(nextRound)}`,
      );
    }
    return {
      nextRound,
      modelHash,
      checkpoint: checkpoint && {
        size: checkpoint.size,
        root: fromBase64(checkpoint.root) ?? new Uint8Array(),
      },
    };
  }

  /** True when this process wrote the state `modelHash` itself and its file is still there. */
  async has(modelHash: string): Promise<boolean> {
    if (this.#written?.hash !== modelHash) return false;
    const { sizeBytes } = this.#written;
    const found = await stat(join(this.#folder, 'state.bin')).catch(() => undefined);
    return found?.size === sizeBytes;
  }

  /** The bytes of the state `modelHash`, if this silo has them. */
  async state(modelHash: string): Promise<Uint8Array | undefined> {
    const kept = await readIfThere(join(this.#folder, 'state.bin'));
    // A crash may have left a state that progress.json does not name yet.
    if (kept && modelStateHash(kept) === modelHash) return kept;
    const initial = this.#initialState();
    return modelStateHash(initial) === modelHash ? initial : undefined;
  }

  /** Records a verified round. `state` has the hash that `progress` names. Throws FILE_UNWRITABLE. */
  async advance(progress: Progress, state: Uint8Array): Promise<void> {
    const { nextRound, modelHash, checkpoint } = progress;
    this.#known = undefined;
    this.#written = undefined;
    // A power cut may lose it: then it is fetched, and compared with the hash that stands below.
    await writeLazily(join(this.#folder, 'state.bin'), state);
    this.#written = { hash: modelHash, sizeBytes: state.length };
    const file: ProgressFile = {
      medley: 'progress/v1',
      nextRound,
      modelHash,
      ...(checkpoint
        ? { checkpoint: { size: checkpoint.size, root: toBase64(checkpoint.root) } }
        : {}),
    };
    await writeDocument(join(this.#folder, 'progress.json'), file);
    this.#known = progress;
  }

  #initialState(): Uint8Array {
    return (this.#initial ??= initialState(this.#pinned.model));
  }
}
