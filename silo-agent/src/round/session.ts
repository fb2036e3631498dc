import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  fromBase64,
  MedleyError,
  syncFolder,
  toBase64,
  writeDurably,
  writeLazily,
  type JsonSchema,
} from '@medley/kit';
import { deserializeSilo, serializeSilo, type SessionTerms, type SiloState } from '@medley/secagg';
import { isMissing, readDocument, readIfThere, writeDocument } from '../file.ts';
import type { RoundId } from './task.ts';

/** One attempt as it stands on disk. `ended`: this silo gave it up; it holds no secret any more. */
interface SessionFile {
  readonly medley: 'session/v1';
  readonly round: number;
  readonly attempt: number;
  /** Model state that the session is bound to, hex. */
  readonly modelHash: string;
  readonly phase: SiloState['phase'] | 'ended';
  /** Why this silo gave the attempt up, a code of the catalogue; only once ended. */
  readonly code?: string;
  /** `serializeSilo`, base64; absent once ended. */
  readonly state?: string;
}

const SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['medley', 'round', 'attempt', 'modelHash', 'phase'],
  properties: {
    medley: { const: 'session/v1' },
    round: { type: 'integer', minimum: 0 },
    attempt: { type: 'integer', minimum: 1 },
    modelHash: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    phase: { enum: ['advertised', 'shared', 'masked', 'confirmed', 'released', 'ended'] },
    code: { type: 'string', pattern: '^[A-Z0-9_]{0,64}$' },
    state: { type: 'string' },
  },
};

/** What is known of one attempt without its terms. */
export type SessionSummary = Pick<SessionFile, 'round' | 'attempt' | 'phase' | 'code'>;

/**
 * Single-use states of one study's rounds, one file an attempt. `save` returns when the state
 * survives a power cut, and only then may its message leave. Files are 0600 in a folder of 0700: they
 * hold mask keys and shares. Each is read once: while an agent runs, nobody else writes them.
 */
export class Sessions {
  readonly #folder: string;
  /** What stands on disk, once read; undefined again after a write whose end is not known. */
  #known: Map<string, SessionFile> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * The state of the attempt, `ended`, or undefined when there never was one. Throws
   * SECAGG_EQUIVOCATION when it is bound to another model than `terms` says, AGENT_STATE_INVALID and
   * SECAGG_STATE_INVALID when it cannot be read.
   */
  async load(terms: SessionTerms): Promise<SiloState | 'ended' | undefined> {
    const file = await this.#read(terms);
    if (!file) return undefined;
    if (file.phase === 'ended' || file.state === undefined) return 'ended';
    if (file.modelHash !== terms.modelHash) {
      throw new MedleyError('SECAGG_EQUIVOCATION', 'the attempt was begun with another model');
    }
    return deserializeSilo(fromBase64(file.state) ?? new Uint8Array(), terms);
  }

  /** Every attempt that is on disk, in order. Throws FILE_UNREADABLE, AGENT_STATE_INVALID. */
  async list(): Promise<readonly SessionSummary[]> {
    const found = [...(await this.#files()).values()];
    return found.sort((a, b) => a.round - b.round || a.attempt - b.attempt);
  }

  /** Throws FILE_UNWRITABLE; then nothing may be sent. */
  async save(state: SiloState): Promise<void> {
    const { round, attempt, modelHash } = state.terms;
    await this.#write({
      medley: 'session/v1',
      round,
      attempt,
      modelHash,
      phase: state.phase,
      state: toBase64(serializeSilo(state)),
    });
  }

  /**
   * Marks an attempt that this silo leaves for good and forgets its secrets, so that a later message
   * under the same session finds no keys. The first `code` given stays: it is why. A released attempt
   * stays as it is: that it was released is what forbids another attempt.
   */
  async end(
    id: Pick<RoundId, 'round' | 'attempt'>,
    modelHash: string,
    code: string,
  ): Promise<void> {
    const { round, attempt } = id;
    const before = await this.#read(id);
    if (before?.phase === 'released') return;
    const kept = before?.code ?? code;
    const phase = 'ended';
    await this.#write({ medley: 'session/v1', round, attempt, modelHash, phase, code: kept });
    await this.dropVector(id);
  }

  /** Keeps the masked vector as it travels, so that an upload can be repeated bit for bit after a restart. */
  async saveVector(id: Pick<RoundId, 'round' | 'attempt'>, wire: Uint8Array): Promise<void> {
    // A power cut may lose it: then its hash does not fit, and this silo drops out of the attempt.
    await writeLazily(this.#vectorFile(id), wire);
  }

  /** The masked vector of the attempt, undefined when it was not kept. */
  async loadVector(id: Pick<RoundId, 'round' | 'attempt'>): Promise<Uint8Array | undefined> {
    return readIfThere(this.#vectorFile(id));
  }

  /** Keeps what a private study's round says of this silo: every attempt at it says the same. */
  async saveValues(round: number, values: Uint8Array): Promise<void> {
    await writeDurably(join(this.#folder, `${String(round)}-0.values`), values);
  }

  /** What {@link saveValues} kept, undefined when nothing was. */
  async loadValues(round: number): Promise<Uint8Array | undefined> {
    return readIfThere(join(this.#folder, `${String(round)}-0.values`));
  }

  async dropVector(id: Pick<RoundId, 'round' | 'attempt'>): Promise<void> {
    await rm(this.#vectorFile(id), { force: true });
  }

  /** Removes everything of rounds up to and including `round`, whose end is recorded elsewhere. */
  async forget(round: number): Promise<void> {
    for (const name of await namesIn(this.#folder)) {
      const number = /^(\d+)-\d+\.(?:json|vector|values)$/.exec(name)?.[1];
      if (number !== undefined && Number(number) <= round)
        await rm(join(this.#folder, name), { force: true });
    }
    for (const [key, file] of this.#known ?? []) if (file.round <= round) this.#known?.delete(key);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await syncFolder(this.#folder);
  }

  async #read(id: Pick<RoundId, 'round' | 'attempt'>): Promise<SessionFile | undefined> {
    return (await this.#files()).get(keyOf(id));
  }

  async #files(): Promise<Map<string, SessionFile>> {
    if (this.#known) return this.#known;
    const files = new Map<string, SessionFile>();
    for (const name of await namesIn(this.#folder)) {
      const [, round, attempt] = /^(\d+)-(\d+)\.json$/.exec(name) ?? [];
      if (round === undefined) continue;
      const id = { round: Number(round), attempt: Number(attempt) };
      const file = await readDocument<SessionFile>(this.#file(id), SCHEMA);
      if (file) files.set(keyOf(id), file);
    }
    this.#known = files;
    return files;
  }

  async #write(file: SessionFile): Promise<void> {
    const known = await this.#files();
    try {
      await writeDocument(this.#file(file), file);
      known.set(keyOf(file), file);
    } catch (caught) {
      this.#known = undefined;
      throw caught;
    }
  }

  #file({ round, attempt }: Pick<RoundId, 'round' | 'attempt'>): string {
    return join(this.#folder, `${String(round)}-${String(attempt)}.json`);
  }

  #vectorFile({ round, attempt }: Pick<RoundId, 'round' | 'attempt'>): string {
    return join(this.#folder, `${String(round)}-${String(attempt)}.vector`);
  }
}

function keyOf({ round, attempt }: Pick<RoundId, 'round' | 'attempt'>): string {
  return `${String(round)}-${String(attempt)}`;
}

/** None only where there is no folder: an attempt that is overlooked would be taken for a new one. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw new MedleyError('FILE_UNREADABLE', `${folder} cannot be read`, { cause });
  }
}
