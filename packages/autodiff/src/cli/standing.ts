import { readFile } from 'node:fs/promises';
import { fromBase64, isMedleyError, MedleyError, toBase64, writeDurably } from '@medley/kit';
import type { TrainingState } from '../training/trainer.ts';

/** Where a training stands: enough to go on with the same bits. */
export interface Standing {
  /** Hash of everything that decides the course: model, options, data, seed. */
  readonly course: string;
  readonly state: TrainingState;
  /** With `--patience`, once an epoch was judged. */
  readonly best?: Best | undefined;
}

/** The best weights so far. */
export interface Best {
  /** From 1. */
  readonly epoch: number;
  /** Mean loss of the rows kept for judging. */
  readonly validation: number;
  readonly parameters: Float32Array;
}

/** Writes a standing as JSON, whole or not at all. Throws FILE_UNWRITABLE. */
export async function writeStanding(
  file: string,
  { course, state, best }: Standing,
): Promise<void> {
  const text = (data: Float32Array): string =>
    toBase64(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const { stepCount } = state;
  const document = {
    course,
    stepCount,
    parameters: text(state.parameters),
    slots: text(state.slots),
    ...(best && { best: { ...best, parameters: text(best.parameters) } }),
  };
  await writeDurably(file, `${JSON.stringify(document)}\n`);
}

/**
 * The standing in `file`, or undefined where there is no file. Throws TRAINING_OPTIONS_INVALID for a
 * file that holds none, or that of another course.
 */
export async function readStanding(file: string, course: string): Promise<Standing | undefined> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    if ((cause as { code?: unknown }).code === 'ENOENT') return undefined;
    throw new MedleyError('FILE_UNREADABLE', file, { cause });
  });
  if (bytes === undefined) return undefined;
  try {
    const found = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
    if (found['course'] !== course)
      throw new MedleyError(
        'TRAINING_OPTIONS_INVALID',
        `${file} belongs to a training with another model, data, seed or other options`,
      );
    const stepCount = found['stepCount'];
    if (typeof stepCount !== 'number') throw new TypeError('no step count');
    const { parameters, slots } = found;
    const state = { parameters: floats(parameters), slots: floats(slots), stepCount };
    return { course, state, best: bestOf(found['best']) };
  } catch (cause) {
    if (isMedleyError(cause)) throw cause;
    throw new MedleyError('TRAINING_OPTIONS_INVALID', `${file} holds no training`, { cause });
  }
}

function bestOf(found: unknown): Best | undefined {
  if (found === undefined) return undefined;
  const { epoch, validation, parameters } = found as Record<string, unknown>;
  if (typeof epoch !== 'number' || typeof validation !== 'number') throw new TypeError('no epoch');
  return { epoch, validation, parameters: floats(parameters) };
}

function floats(text: unknown): Float32Array {
  if (typeof text !== 'string') throw new TypeError('no vector');
  const bytes = fromBase64(text);
  if (bytes === undefined || bytes.length % 4 !== 0) throw new TypeError('no vector');
  return new Float32Array(new Uint8Array(bytes).buffer);
}
