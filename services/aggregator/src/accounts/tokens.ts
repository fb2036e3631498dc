import { equalBytes, MedleyError, sha256, timestamp, utf8, type Clock } from '@medley/kit';
import type { CallContext, Peer } from '@medley/rpc';
import type { Ledger } from '../log/ledger.ts';
import type { TokenRow, TokenScope } from '../store/rows.ts';
import type { Store } from '../store/store.ts';

/** Longest life of a token. */
const MAX_LIFE_MS = 366 * 86_400_000;
/** `mt_v1.<id>.<secret>`: 8 and 24 bytes, base64url. */
const TOKEN = /^mt_v1\.([A-Za-z0-9_-]{11})\.([A-Za-z0-9_-]{32})$/;

/** What a token's secret is stored as. It has 192 random bits, so one hash suffices. */
export function tokenHash(secret: string): Uint8Array {
  return sha256(utf8('medley/token/v1\n'), utf8(secret));
}

/** The token that a call carries, undefined when it carries none. */
export function bearerOf(metadata: CallContext['metadata']): string | undefined {
  const [header] = metadata.get('authorization');
  return typeof header === 'string' && header.startsWith('Bearer ') ? header.slice(7) : undefined;
}

/**
 * The operator whose token it is. A token is worth its scopes within its operator's roles, until it
 * expires or is revoked. Throws TOKEN_INVALID, the same for every token that is not good, and
 * RPC_FORBIDDEN for one without the scope, or a method (`scope` undefined) that takes no token.
 */
export async function openToken(
  { store, clock, consortium }: { store: Store; clock: Clock; consortium: string },
  bearer: string,
  scope: TokenScope | undefined,
): Promise<Peer> {
  const [, id = '', secret = ''] = TOKEN.exec(bearer) ?? [];
  const row = await store.tables.tokens.get(id);
  // Compared also where there is no row, so that time tells nothing of which ids exist.
  const isRight = equalBytes(row?.secretHash ?? new Uint8Array(32), tokenHash(secret));
  if (!row || !isRight || row.revokedMs !== undefined || clock.nowMs() >= row.expiresMs) {
    throw new MedleyError('TOKEN_INVALID', 'the token is unknown, revoked or expired');
  }
  if (scope === undefined) {
    throw new MedleyError('RPC_FORBIDDEN', 'this call takes a certificate, no token');
  }
  if (!row.scopes.includes(scope)) {
    throw new MedleyError('RPC_FORBIDDEN', `the token lacks the scope ${scope}`);
  }
  return { role: 'operator', name: row.operator, consortium, serial: `token ${row.id}` };
}

/** A token as its owner orders it; the secret stays there. */
export interface TokenOrder {
  readonly id: string;
  readonly secretHash: Uint8Array;
  readonly label: string;
  readonly scopes: readonly TokenScope[];
  readonly expiresMs: number;
}

/** Makes and ends API tokens. */
export class TokenDesk {
  readonly #parts: { readonly ledger: Ledger; readonly clock: Clock };

  constructor(parts: { readonly ledger: Ledger; readonly clock: Clock }) {
    this.#parts = parts;
  }

  /** Throws ACCOUNT_INVALID for a malformed order, an id in use or a life over a year. */
  async create(order: TokenOrder, operator: string): Promise<void> {
    const { ledger, clock } = this.#parts;
    const nowMs = clock.nowMs();
    const { id, secretHash, label, scopes, expiresMs } = order;
    const isSound =
      /^[A-Za-z0-9_-]{11}$/.test(id) &&
      secretHash.length === 32 &&
      label.length <= 200 &&
      scopes.length > 0 &&
      expiresMs > nowMs &&
      expiresMs <= nowMs + MAX_LIFE_MS;
    if (!isSound)
      throw new MedleyError('ACCOUNT_INVALID', 'the token is malformed or too long-lived');
    await ledger.change(async ({ tables, record }) => {
      if (await tables.tokens.get(id)) throw new MedleyError('ACCOUNT_INVALID', 'the id is in use');
      const row: TokenRow = { ...order, operator, createdMs: nowMs, revokedMs: undefined };
      await tables.tokens.put(row);
      await record({
        type: 'token.created',
        actor: { kind: 'operator', id: operator },
        outcome: 'ok',
        data: { tokenId: id, operator, scopes: [...scopes], expires: timestamp(expiresMs) },
      });
    });
  }

  /**
   * Ends a token: one's own, or anybody's for an administrator. Repeated it changes nothing. Throws
   * TOKEN_UNKNOWN, also for another's token.
   */
  async revoke(id: string, operator: string): Promise<void> {
    const { ledger, clock } = this.#parts;
    await ledger.change(async ({ tables, record }) => {
      const row = await tables.tokens.get(id);
      const isAdmin = (await tables.operators.get(operator))?.roles.includes('admin') === true;
      if (!row || (row.operator !== operator && !isAdmin)) {
        throw new MedleyError('TOKEN_UNKNOWN', `token ${id.slice(0, 20)}`);
      }
      if (row.revokedMs !== undefined) return;
      await tables.tokens.put({ ...row, revokedMs: clock.nowMs() });
      await record({
        type: 'token.revoked',
        actor: { kind: 'operator', id: operator },
        outcome: 'ok',
        data: { tokenId: id, operator: row.operator },
      });
    });
  }
}
