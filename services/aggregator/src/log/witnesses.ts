import { isMedleyError, MedleyError, toBase64, type Clock } from '@medley/kit';
import {
  addSignatures,
  cosignatureTimeS,
  parseNote,
  parseSignatureLines,
  parseVerifierKey,
  type VerifierKey,
} from '@medley/merkle';
import { verifyWitness } from '@medley/pki';
import type { SiloRow, WitnessRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import type { Ledger } from './ledger.ts';

/** Of all enrolled silos, how many must vouch for a checkpoint before it is final. */
export interface Quorum {
  readonly numerator: number;
  readonly denominator: number;
}

/** Reads `2/3`. Throws CONFIG_INVALID unless it is above 0 and at most 1. */
export function readQuorum(text: string): Quorum {
  const [numerator = 0, denominator = 0] = text.split('/').map(Number);
  const isFraction = /^[1-9][0-9]?\/[1-9][0-9]?$/.test(text) && numerator <= denominator;
  if (!isFraction) throw new MedleyError('CONFIG_INVALID', `witnessQuorum ${text}`);
  return { numerator, denominator };
}

/** Witnesses of `silos` that make a checkpoint final; at least one. */
export function requiredOf({ numerator, denominator }: Quorum, silos: number): number {
  return Math.max(1, Math.ceil((silos * numerator) / denominator));
}

/** A silo's word for a checkpoint, as it came in. */
export interface CosignatureDraft {
  readonly treeSize: number;
  /** Signature line with its newline. */
  readonly line: string;
  /** Verifier key of the witness. */
  readonly verifierKey: string;
  /** The identity key's under that key. */
  readonly signature: Uint8Array;
}

/** How many vouch for a checkpoint; it is final from `required` on. */
export interface Standing {
  readonly cosigned: number;
  readonly required: number;
}

export interface WitnessParts {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly consortium: string;
  readonly quorum: Quorum;
}

/** Gathers what the silos, as witnesses, say of the checkpoints. */
export class WitnessDesk {
  readonly #parts: WitnessParts;

  constructor(parts: WitnessParts) {
    this.#parts = parts;
  }

  /**
   * Takes a cosignature, once; the first under a witness key puts that key into the log. Throws
   * WITNESS_INVALID, and AUDIT_RANGE for a size of which there is no checkpoint.
   */
  async cosign(silo: string, draft: CosignatureDraft): Promise<Standing> {
    const { ledger, store, clock, consortium } = this.#parts;
    const note = await ledger.checkpointOf(draft.treeSize);
    if (note === undefined) {
      throw new MedleyError('AUDIT_RANGE', `no checkpoint of size ${draft.treeSize}`);
    }
    const key = witnessKeyOf(draft.verifierKey, `medley/${consortium}/${silo}`);
    checkLine(note, key, draft.line);
    await this.#register(silo, draft);
    const { cosignatures } = store.tables;
    const isKnown = (await cosignatures.of(draft.treeSize)).some((row) => row.silo === silo);
    if (!isKnown) {
      const row = { size: draft.treeSize, silo, line: draft.line, atMs: clock.nowMs() };
      // The same word may have come on two connections at once; one of them is enough.
      await cosignatures.append(row).catch(ignoreConflict);
    }
    return this.standing(draft.treeSize);
  }

  /** Who vouches for the checkpoint of this size. */
  async standing(size: number): Promise<Standing> {
    const { store, quorum } = this.#parts;
    const silos = (await store.tables.silos.list()).filter(({ state }) => state === 'enrolled');
    const names = new Set(silos.map(({ name }) => name));
    const rows = await store.tables.cosignatures.of(size);
    const cosigned = rows.filter(({ silo }) => names.has(silo)).length;
    return { cosigned, required: requiredOf(quorum, silos.length) };
  }

  /** The checkpoint with the cosignatures that there are. */
  async cosigned({
    size,
    note,
  }: {
    readonly size: number;
    readonly note: string;
  }): Promise<string> {
    const lines = (await this.#parts.store.tables.cosignatures.of(size)).map(({ line }) => line);
    return lines.length === 0 ? note : addSignatures(note, lines.join(''));
  }

  async #register(silo: string, { verifierKey, signature }: CosignatureDraft): Promise<void> {
    const { store, ledger, clock, consortium } = this.#parts;
    const known = await store.tables.witnesses.get(silo);
    if (known?.verifierKey === verifierKey) return;
    const row = await store.tables.silos.get(silo);
    const identityKey = identityOf(row, { silo, verifierKey, consortium, signature });
    await ledger.change(async ({ tables, record }) => {
      const before = await tables.witnesses.get(silo);
      if (before?.verifierKey === verifierKey) return;
      const witness: WitnessRow = { silo, verifierKey, signature, atMs: clock.nowMs() };
      await tables.witnesses.put(witness);
      await record({
        type: 'witness.registered',
        actor: { kind: 'silo', id: silo },
        outcome: 'ok',
        data: {
          ...{ silo, verifierKey },
          identityKey: toBase64(identityKey),
          signature: toBase64(signature),
        },
      });
    });
  }
}

function identityOf(
  row: SiloRow | undefined,
  { signature, ...claim }: Parameters<typeof verifyWitness>[1] & { readonly signature: Uint8Array },
): Uint8Array {
  const key = row?.identityKey;
  if (key === undefined || !verifyWitness(key, claim, signature)) {
    throw new MedleyError('WITNESS_INVALID', `${claim.silo} did not sign for this witness key`);
  }
  return key;
}

function witnessKeyOf(text: string, name: string): VerifierKey {
  let key: VerifierKey;
  try {
    key = parseVerifierKey(text);
  } catch (cause) {
    throw new MedleyError('WITNESS_INVALID', 'the witness key cannot be read', { cause });
  }
  // Under another's name, one word could be handed in twice and counted as two.
  if (key.role !== 'witness' || key.name !== name) {
    throw new MedleyError('WITNESS_INVALID', `the key is not the witness key ${name}`);
  }
  return key;
}

function checkLine(note: string, key: VerifierKey, line: string): void {
  const { text } = parseNote(note);
  const [signature, ...more] = linesOf(line);
  const isOfKey = signature?.name === key.name && signature.keyId === key.keyId;
  if (!isOfKey || more.length > 0) {
    throw new MedleyError('WITNESS_INVALID', 'the line is not one of this witness key');
  }
  if (cosignatureTimeS(text, key.publicKey, signature.payload) === undefined) {
    throw new MedleyError('WITNESS_INVALID', 'the cosignature is not of this checkpoint');
  }
}

function linesOf(line: string): ReturnType<typeof parseSignatureLines> {
  try {
    return parseSignatureLines(line);
  } catch (cause) {
    throw new MedleyError('WITNESS_INVALID', 'the line cannot be read', { cause });
  }
}

function ignoreConflict(caught: unknown): void {
  if (!isMedleyError(caught) || caught.code !== 'STORE_CONFLICT') throw caught;
}
