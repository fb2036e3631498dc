import { createPublicKey } from 'node:crypto';
import { canonicalBytes, concatBytes, fromBase64, utf8 } from '@medley/kit';
import type { EventOf, TrailEvent } from '@medley/trail';
import type { BundleFolder } from './folder.ts';
import { studyOf } from './selection.ts';

/** `{"index":…,"leaf":…}` and a newline: the exact bytes of an entry, and its place in the log. */
export function entryLine(index: number, leaf: Uint8Array): Uint8Array {
  return concatBytes(utf8(`{"index":${index},"leaf":`), leaf, utf8('}\n'));
}

/** Which extract of the bundle repeats an entry, if any. */
export function extractOf(event: TrailEvent): string | undefined {
  const [group] = event.type.split('.');
  const study = studyOf(event);
  switch (group) {
    case 'silo':
    case 'witness':
    case 'crl':
      return 'certificates/history.jsonl';
    case 'consortium':
      return event.type === 'consortium.setting'
        ? 'roles/changes.jsonl'
        : 'certificates/history.jsonl';
    case 'operator':
    case 'token':
      return 'roles/changes.jsonl';
    case 'round':
    case 'model':
      return study && `rounds/${study}.jsonl`;
    case 'privacy':
      return study && `privacy/${study}.jsonl`;
    case 'study':
    case 'charter':
      return study && `charters/${study}/decisions.jsonl`;
    default:
      return undefined;
  }
}

type Started = EventOf<'study.started'>;
type Signed = EventOf<'charter.signed'>;

/** Gathers charters and what was signed under them, for people with openssl. */
export class CharterShelf {
  readonly #started = new Map<string, Started>();
  /** By study, charter and silo; a refusal takes an approval away. */
  readonly #signed = new Map<string, Signed | EventOf<'charter.withdrawn'>>();

  read(event: TrailEvent): void {
    if (event.type === 'study.started') this.#started.set(event.study, event);
    else if (event.type === 'charter.signed' || event.type === 'charter.withdrawn') {
      this.#signed.set(keyOf(event), event);
    } else if (event.type === 'charter.refused') this.#signed.delete(keyOf(event));
  }

  /** Writes `charters/<study>/charter.json` and `approvals/<silo>.{statement,sig,pub.pem}`. */
  async write(folder: BundleFolder): Promise<void> {
    for (const [study, { data }] of this.#started) {
      const at = `charters/${study}`;
      await folder.write(`${at}/charter.json`, canonicalBytes(data.charter));
      for (const { silo, identityKey } of data.charter.roster) {
        const word = this.#signed.get(`${study} ${data.charterHash} ${silo}`);
        if (!word) continue;
        const file = `${at}/approvals/${silo}`;
        await folder.write(`${file}.pub.pem`, publicPem(fromBase64(identityKey)));
        if (word.type !== 'charter.signed') continue;
        const statement = fromBase64(word.data.statement) ?? new Uint8Array();
        // Exactly what the identity key signed: the domain, a newline, the statement.
        await folder.write(
          `${file}.statement`,
          concatBytes(utf8('medley/charter/v1\n'), statement),
        );
        await folder.write(`${file}.sig`, fromBase64(word.data.signature) ?? new Uint8Array());
      }
    }
  }
}

function keyOf({
  study,
  data,
}: EventOf<'charter.signed' | 'charter.refused' | 'charter.withdrawn'>) {
  return `${study} ${data.charterHash} ${data.silo}`;
}

/** An Ed25519 public key of 32 bytes as PEM (RFC 8410). */
export function publicPem(raw: Uint8Array | undefined): string {
  const x = Buffer.from(raw ?? []).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return key.export({ type: 'spki', format: 'pem' }).toString();
}
