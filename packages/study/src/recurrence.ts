import { seededRng, utf8 } from '@medley/kit';
import type { Charter } from './charter.ts';
import { draftCharter } from './draft.ts';
import { EXAMPLE_STUDY } from './example.ts';
import { DEFAULT_FLOORS } from './floors.ts';
import { readStudy } from './reader.ts';
import type { Study } from './study.ts';

// What the tests of this package stand on; no part of the public entry.

/** Any bytes do: study and trail only hash the model. */
export const MODEL_BYTES = utf8('a forward graph');

export const CREATED_MS = Date.parse('2026-11-23T08:00:00.000Z');

/** The example study; `edit` changes its text first. */
export function recurrence(edit: (yaml: string) => string = (yaml) => yaml): {
  readonly study: Study;
  readonly studyBytes: Uint8Array;
} {
  const studyBytes = utf8(edit(EXAMPLE_STUDY));
  return { study: readStudy(studyBytes, 'study.yaml'), studyBytes };
}

/** Reproducible bytes in place of Ed25519 public keys, one per silo. */
export function pretendRoster(n: number): { silo: string; identityKey: Uint8Array }[] {
  const rng = seededRng('roster');
  return Array.from({ length: n }, (_, i) => ({
    silo: `hospital-${i + 1}`,
    identityKey: rng.bytes(32),
  }));
}

/** A charter of the study for a roster. */
export function recurrenceCharter(
  options: {
    readonly study?: Study;
    readonly studyBytes?: Uint8Array;
    readonly roster?: readonly { readonly silo: string; readonly identityKey: Uint8Array }[];
    readonly modelParameters?: number;
    readonly verifierKey?: string;
  } = {},
): Charter {
  const { study, studyBytes } = recurrence();
  return draftCharter({
    consortium: 'breast-cancer',
    study: options.study ?? study,
    studyBytes: options.studyBytes ?? studyBytes,
    modelBytes: MODEL_BYTES,
    modelParameters: options.modelParameters ?? 7,
    roster: options.roster ?? pretendRoster(5),
    log: {
      origin: 'medley/breast-cancer',
      verifierKey: options.verifierKey ?? 'medley/breast-cancer+00000000+AAAA',
    },
    nowMs: CREATED_MS,
    floors: DEFAULT_FLOORS,
  });
}
