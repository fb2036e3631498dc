import { equalBytes, toHex } from '@medley/kit';
import type { Letter } from './network.ts';

interface Key {
  readonly study: string;
  readonly round: number;
  readonly attempt: number;
}
interface ShareOf {
  readonly of: number;
}
interface Message {
  readonly key?: Key;
  readonly header?: { readonly key: Key; readonly header: { readonly vectorHash: Uint8Array } };
  readonly chunk?: { readonly offset: string; readonly data: Uint8Array };
  readonly advert?: { readonly channelKey: Uint8Array; readonly maskKey: Uint8Array };
  readonly confirmation?: { readonly survivorsHash: Uint8Array };
  readonly seedShares?: readonly ShareOf[];
  readonly keyShares?: readonly ShareOf[];
}

/** What left the agents of a run, put together over all attempts and lives. */
export interface Revealed {
  /** What must never have left, in words; empty when all is well. */
  readonly faults: readonly string[];
  /** How many silos let shares go, by `round attempt`. */
  readonly releases: ReadonlyMap<string, number>;
}

/**
 * Reads every byte that left, delivered or not: of no silo both shares, under no keys a second masked
 * vector, no second set of survivors, no key twice.
 */
export function revealed(tape: readonly Letter[]): Revealed {
  const faults = new Set<string>();
  const shares = new Map<string, Set<string>>();
  const releases = new Map<string, Set<string>>();
  const once = new Map<string, string>();
  const keys = new Map<string, string>();
  const vectors = new Map<string, Map<string, Uint8Array>>();
  const uploads = new Map<string, string>();
  const same = (what: string, value: string): void => {
    const first = once.get(what) ?? value;
    once.set(what, first);
    if (first !== value) faults.add(`a second ${what}`);
  };
  for (const { silo, message } of tape) {
    const { key, header, chunk, advert, confirmation, seedShares, keyShares } = message as Message;
    const at = nameOf(key ?? header?.key);
    const who = `of ${silo} in ${at}`;
    if (advert) {
      for (const bytes of [advert.channelKey, advert.maskKey]) {
        const owner = keys.get(toHex(bytes)) ?? who;
        keys.set(toHex(bytes), owner);
        if (owner !== who) faults.add(`a key ${owner} again ${who}`);
      }
      same(`mask key ${who}`, toHex(advert.maskKey));
    }
    if (header) {
      same(`masked vector ${who}`, toHex(header.header.vectorHash));
      uploads.set(silo, who);
    }
    if (chunk) checkPiece(chunk, uploads.get(silo) ?? 'of nobody', vectors, faults);
    if (confirmation) same(`set of survivors ${who}`, toHex(confirmation.survivorsHash));
    if (!seedShares || !keyShares) continue;
    releases.set(at, (releases.get(at) ?? new Set()).add(silo));
    note(shares, at, 'seed', seedShares);
    note(shares, at, 'key', keyShares);
  }
  for (const [what, kinds] of shares) if (kinds.size > 1) faults.add(`both shares of ${what}`);
  return {
    faults: [...faults],
    releases: new Map([...releases].map(([at, silos]) => [at, silos.size])),
  };
}

function note(
  shares: Map<string, Set<string>>,
  at: string,
  kind: 'seed' | 'key',
  list: readonly ShareOf[],
): void {
  for (const { of } of list) {
    const what = `silo ${of} in ${at}`;
    shares.set(what, (shares.get(what) ?? new Set()).add(kind));
  }
}

function checkPiece(
  { offset, data }: { readonly offset: string; readonly data: Uint8Array },
  who: string,
  vectors: Map<string, Map<string, Uint8Array>>,
  faults: Set<string>,
): void {
  const pieces = vectors.get(who) ?? new Map<string, Uint8Array>();
  vectors.set(who, pieces);
  const first = pieces.get(offset) ?? data;
  pieces.set(offset, first);
  if (!equalBytes(first, data)) faults.add(`other bytes of the masked vector ${who}`);
}

function nameOf(key: Key | undefined): string {
  return key ? `${key.round} ${key.attempt}` : '';
}
