import { MedleyError, utf8 } from '@medley/kit';
import { cosignatureTimeS } from './cosignature.ts';
import { isSameKey, isSignature, type VerifierKey } from './key.ts';
import { parseNote, type NoteSignature } from './note.ts';

/** A trusted key whose signature holds. `timeS` is when a witness vouched, in seconds since 1970. */
export type Signer =
  | { readonly role: 'log'; readonly key: VerifierKey }
  | { readonly role: 'witness'; readonly key: VerifierKey; readonly timeS: number };

/** The text of a note and who of the trusted keys signed it: each key once, at least one. */
export interface OpenedNote {
  readonly text: string;
  readonly signers: readonly Signer[];
}

/**
 * Verifies a note against the keys one trusts (C2SP signed-note, "Signatures"). Signatures of other
 * keys or types are ignored; of several cosignatures by one witness the latest counts. Throws
 * MERKLE_NOTE_MALFORMED, MERKLE_SIGNATURE_INVALID when a trusted key's signature is wrong,
 * MERKLE_SIGNATURE_MISSING when no trusted key signed, MERKLE_KEY_INVALID when two keys share name and id.
 */
export function openNote(note: string, keys: readonly VerifierKey[]): OpenedNote {
  const { text, signatures } = parseNote(note);
  const trusted = indexKeys(keys);
  const signers = new Map<string, Signer>();
  for (const signature of signatures) {
    const id = identify(signature);
    const key = trusted.get(id);
    if (key === undefined) continue;
    const signer = verifySignature(text, key, signature);
    const earlier = signers.get(id);
    if (earlier === undefined || isLater(signer, earlier)) signers.set(id, signer);
  }
  if (signers.size === 0)
    throw new MedleyError('MERKLE_SIGNATURE_MISSING', 'no trusted key signed the note');
  return { text, signers: [...signers.values()] };
}

function verifySignature(text: string, key: VerifierKey, { payload }: NoteSignature): Signer {
  switch (key.role) {
    case 'log':
      if (isSignature(key.publicKey, utf8(text), payload)) return { role: 'log', key };
      break;
    case 'witness': {
      const timeS = cosignatureTimeS(text, key.publicKey, payload);
      if (timeS !== undefined) return { role: 'witness', key, timeS };
      break;
    }
  }
  throw new MedleyError(
    'MERKLE_SIGNATURE_INVALID',
    `signature of ${key.name}+${key.keyId} is wrong`,
  );
}

function isLater(a: Signer, b: Signer): boolean {
  return a.role === 'witness' && b.role === 'witness' && a.timeS > b.timeS;
}

function indexKeys(keys: readonly VerifierKey[]): ReadonlyMap<string, VerifierKey> {
  const index = new Map<string, VerifierKey>();
  for (const key of keys) {
    const other = index.get(identify(key));
    // Key ids have 32 bits: a collision can be made, and would let one key speak as the other.
    if (other !== undefined && !isSameKey(other, key)) {
      throw new MedleyError('MERKLE_KEY_INVALID', `two keys are called ${key.name}+${key.keyId}`);
    }
    index.set(identify(key), key);
  }
  return index;
}

function identify({ name, keyId }: { readonly name: string; readonly keyId: string }): string {
  return `${name}+${keyId}`;
}
