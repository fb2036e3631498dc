import { concatBytes } from '@medley/kit';
import type { SiloState } from '@medley/secagg';

/** What one silo's disk held of one session: what must never leave, and what may, but never in pairs. */
interface Held {
  readonly session: string;
  readonly holder: number;
  readonly privates: readonly Uint8Array[];
  readonly seedShares: ReadonlyMap<number, Uint8Array>;
  readonly keyShares: ReadonlyMap<number, Uint8Array>;
}

/** What silos held on their disks in the sessions of a test, to be looked for in what they sent. */
export class Secrets {
  readonly #held: Held[] = [];

  /** Takes note of a silo's state; every state of a session adds what it holds. */
  add(session: string, holder: number, state: SiloState): void {
    this.#held.push({ session, holder, ...secretsOf(state) });
  }

  /**
   * What of it is in `bytes` that left the silos and should not have: private keys, seeds and salts, and silos of
   * which both kinds of share are among the bytes, whoever sent them.
   */
  leaks(bytes: Buffer): readonly string[] {
    const left = (secret: Uint8Array): boolean => bytes.includes(Buffer.from(secret));
    const found = this.#held.flatMap(({ session, holder, privates }) =>
      privates.some(left) ? [`${session}: a private value of silo ${holder}`] : [],
    );
    const released = (kind: 'seedShares' | 'keyShares', session: string, of: number): boolean =>
      this.#held.some(
        (one) => one.session === session && one[kind].has(of) && left(one[kind].get(of)!),
      );
    for (const session of new Set(this.#held.map((one) => one.session))) {
      for (const index of [...new Set(this.#held.map((one) => one.holder))]) {
        if (released('seedShares', session, index) && released('keyShares', session, index)) {
          found.push(`${session}: both shares of silo ${index}`);
        }
      }
    }
    return [...new Set(found)].sort();
  }

  /** Shares of either kind that left in the open, of every silo: `silo kind of`. */
  openShares(bytes: Buffer): readonly string[] {
    const list = (holder: number, kind: string, shares: ReadonlyMap<number, Uint8Array>) =>
      [...shares].flatMap(([of, share]) =>
        bytes.includes(Buffer.from(share)) ? [`${holder} ${kind} ${of}`] : [],
      );
    return this.#held
      .flatMap(({ holder, seedShares, keyShares }) => [
        ...list(holder, 'b', seedShares),
        ...list(holder, 's', keyShares),
      ])
      .sort();
  }

  /** All secrets that are known from the disks, for a test of {@link Secrets.leaks}. */
  bytes(): Uint8Array {
    const of = ({ privates, seedShares, keyShares }: Held): Uint8Array[] => [
      ...privates,
      ...seedShares.values(),
      ...keyShares.values(),
    ];
    return concatBytes(...this.#held.flatMap(of));
  }
}

function secretsOf(state: SiloState): Omit<Held, 'session' | 'holder'> {
  const byOf = (shares: readonly { of: number; share: Uint8Array }[]) =>
    new Map(shares.map(({ of, share }) => [of, share]));
  const none = { seedShares: byOf([]), keyShares: byOf([]) };
  switch (state.phase) {
    case 'advertised':
      return { privates: [state.channelPrivate, state.maskPrivate], ...none };
    case 'shared': {
      const { channelPrivate, maskPrivate, seed, auditSalt, me, ownSeedShare } = state;
      const privates = [channelPrivate, maskPrivate, seed, auditSalt];
      return { ...none, privates, seedShares: byOf([{ of: me, share: ownSeedShare }]) };
    }
    case 'masked': {
      const { maskPrivate, seed, auditSalt, seedShares, keyShares } = state;
      const privates = [maskPrivate, seed, auditSalt];
      return { privates, seedShares: byOf(seedShares), keyShares: byOf(keyShares) };
    }
    case 'confirmed':
    case 'released':
      return { privates: [state.auditSalt], ...none };
  }
}
