import { MedleyError, sha256, toHex, utf8, type Clock } from '@medley/kit';
import {
  buildCrl,
  isRevocationReason,
  readAuthorities,
  readCrl,
  type Authority,
  type Revocation,
} from '@medley/pki';
import type { Ledger } from '../log/ledger.ts';
import type { RoundBook } from '../rounds/book.ts';
import type { Signal } from '../rounds/signal.ts';
import type { Sessions } from '../rpc/sessions.ts';
import type { CertificateRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import { memberIndex } from '../studies/agreement.ts';

export interface RevocationParts {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly book: RoundBook;
  readonly sessions: Sessions;
  readonly changed: Signal;
  /** The consortium's authorities, PEM. */
  readonly caPem: string;
  readonly renewals: () => Promise<Authority | undefined>;
}

/** Under which name the authority's list is kept. */
const SETTING = 'crl.authority';
/** Readers of the renewal authority's list ask again after a day. */
const LIST_LIFE_MS = 86_400_000;

/** Takes silos out of the consortium, and publishes which certificates are no longer good. */
export class RevocationDesk {
  readonly #parts: RevocationParts;

  constructor(parts: RevocationParts) {
    this.#parts = parts;
  }

  /**
   * Revokes a silo with all its certificates and its identity key. Once this is durable no call of the
   * silo is admitted, its open calls end, and every open round goes on without it as after a
   * withdrawal. Repeated it changes nothing. Gives the serials.
   *
   * Throws SILO_UNKNOWN for a silo that was never enrolled, USAGE for an unknown reason.
   */
  async revoke(
    silo: string,
    reason: string,
    note: string,
    operator: string,
  ): Promise<readonly string[]> {
    if (!isRevocationReason(reason)) throw new MedleyError('USAGE', 'the reason is not known');
    const { ledger, clock, book, sessions, changed } = this.#parts;
    const serials = await ledger.change(async (change) => {
      const { tables, record, onCommit } = change;
      const row = await tables.silos.get(silo);
      const { identityKey } = row ?? {};
      if (!row || !identityKey) throw new MedleyError('SILO_UNKNOWN', `silo ${silo.slice(0, 64)}`);
      const certificates = await tables.certificates.of(silo);
      const known = certificates.map(({ serial }) => serial);
      if (row.state === 'revoked') return known;
      const revokedMs = clock.nowMs();
      for (const certificate of certificates) {
        if (certificate.revokedMs === undefined) {
          await tables.certificates.put({ ...certificate, revokedMs, reason });
        }
      }
      await tables.revokedKeys.put({ identityKey, silo, atMs: revokedMs });
      await tables.silos.put({ ...row, state: 'revoked' });
      await record({
        type: 'silo.revoked',
        actor: { kind: 'operator', id: operator },
        outcome: 'ok',
        data: {
          silo,
          certificateSerial: row.certificateSerial ?? '00',
          reason: [reason, note.trim().slice(0, 900)].filter((part) => part !== '').join(': '),
        },
      });
      for (const open of book.all()) {
        const index = memberIndex(open.agreement.charter, silo);
        if (index === undefined) continue;
        await book.apply(change, open, { kind: 'withdraw', silo: index, code: 'SILO_REVOKED' });
      }
      const end = new MedleyError('PKI_CERTIFICATE_REVOKED', `silo ${silo} was revoked`);
      onCommit(() => sessions.end('silo', silo, end));
      return known;
    });
    changed.raise();
    await ledger.checkpoint();
    return serials;
  }

  /** Every certificate that was revoked. */
  async revoked(): Promise<CertificateRow[]> {
    return this.#parts.store.tables.certificates.revoked();
  }

  /**
   * Takes a list that the operator signed at home. Throws PKI_CRL_INVALID for one that no authority of
   * the consortium signed, that is older than the one published or that leaves one of its own out.
   */
  async publish(crlPem: string, operator: string): Promise<void> {
    const { ledger, caPem } = this.#parts;
    const list = readAny(crlPem, caPem);
    await ledger.change(async ({ tables, record }) => {
      const before = await tables.settings.get(SETTING);
      if (before === crlPem) return;
      if (before !== undefined && readAny(before, caPem).number >= list.number) {
        throw new MedleyError('PKI_CRL_INVALID', 'a newer list is published already');
      }
      const listed = new Set(list.revoked.map(({ serial }) => serial));
      const missing = (await tables.certificates.revoked()).filter(
        ({ issuer, serial }) => issuer === 'authority' && !listed.has(serial),
      );
      if (missing.length > 0) {
        throw new MedleyError('PKI_CRL_INVALID', `the list lacks ${missing[0]?.serial ?? ''}`);
      }
      await tables.settings.put(SETTING, crlPem);
      await record({
        type: 'crl.published',
        actor: { kind: 'operator', id: operator },
        outcome: 'ok',
        data: {
          number: list.number,
          revoked: list.revoked.length,
          crlHash: toHex(sha256(utf8(crlPem))),
        },
      });
    });
  }

  /** The lists in force, PEM: what the operator published, and the renewal authority's, made now. */
  async lists(): Promise<string[]> {
    const { store, clock } = this.#parts;
    const published = await store.tables.settings.get(SETTING);
    const authority = await this.#parts.renewals();
    const nowMs = clock.nowMs();
    const own =
      authority &&
      buildCrl({
        authority,
        revoked: (await this.revoked())
          .filter(({ issuer }) => issuer === 'renewals')
          .map(revocationOf),
        nowMs,
        nextUpdateMs: nowMs + LIST_LIFE_MS,
        // Seconds: grows with every list that differs.
        number: Math.floor(nowMs / 1000),
      });
    return [published, own].filter((list) => list !== undefined);
  }
}

function revocationOf({ serial, revokedMs, reason }: CertificateRow): Revocation {
  const known = reason !== undefined && isRevocationReason(reason) ? reason : 'privilegeWithdrawn';
  return { serial, atMs: revokedMs ?? 0, reason: known };
}

/** A list of one of the authorities. Throws PKI_CRL_INVALID. */
function readAny(crlPem: string, caPem: string): ReturnType<typeof readCrl> {
  const [first, ...others] = readAuthorities(caPem);
  for (const { pem } of others) {
    try {
      return readCrl(crlPem, pem);
    } catch {
      // The other authority's, or nobody's: the last try says so.
    }
  }
  return readCrl(crlPem, first?.pem ?? '');
}
