import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { seededRng, sha256, utf8, type Rng } from '@medley/kit';
import {
  advertise,
  confirm,
  layoutLength,
  mask,
  release,
  share,
  type Advert,
  type Confirmation,
  type CoordinatorEvent,
  type RosterEntry,
  type SessionTerms,
  type ShareDelivery,
  type SharedSilo,
  type SiloState,
} from '@medley/secagg';

// RFC 8410 section 7: PrivateKeyInfo of an Ed25519 seed, all but the seed.
const PKCS8 = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32);

/** A deterministic identity key for tests. */
export function testIdentity(name: string): {
  publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
} {
  const der = Buffer.concat([PKCS8, sha256(utf8(`test identity ${name}`))]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    publicKey: new Uint8Array(spki.subarray(-32)),
    sign: (message) => new Uint8Array(sign(null, message, key)),
  };
}

/** Silos `s1`…`sn` in roster order. */
export function testRoster(n: number): RosterEntry[] {
  return Array.from({ length: n }, (_, i) => {
    const silo = `s${String(i + 1)}`;
    return { index: i + 1, silo, identityKey: testIdentity(silo).publicKey };
  });
}

/** Sound terms over a small vector. */
export function testTerms(n: number, change: Partial<SessionTerms> = {}): SessionTerms {
  const threshold = Math.floor((2 * n) / 3) + 1;
  return {
    protocolVersion: 2,
    suite: 1,
    federation: 'test',
    study: 'study',
    charterHash: 'aa'.repeat(32),
    round: 1,
    attempt: 1,
    kind: 'training',
    roster: testRoster(n),
    threshold,
    minSurvivors: Math.max(3, threshold),
    ringBits: 32,
    layout: [{ name: 'update', length: 8, bound: 1, bits: 20 }],
    clipNormL2: 1,
    weightCap: 100,
    modelHash: 'bb'.repeat(32),
    planHash: 'cc'.repeat(32),
    ...change,
  };
}

/** The silo's side of one attempt, honest, with seeded randomness. */
export class TestSilo {
  readonly index: number;
  readonly #terms: SessionTerms;
  readonly #signer: { sign(message: Uint8Array): Uint8Array };
  readonly #rng: Rng;
  #state: SiloState | undefined;

  constructor(terms: SessionTerms, index: number, signer = testIdentity(`s${String(index)}`)) {
    this.index = index;
    this.#terms = terms;
    this.#signer = signer;
    this.#rng = seededRng(
      `${terms.study} ${String(terms.round)} ${String(terms.attempt)} ${String(index)}`,
    );
  }

  /** Its state after R1. */
  get shared(): SharedSilo {
    if (this.#state?.phase !== 'shared') throw new Error('the silo is not in R1');
    return this.#state;
  }

  advertise(): CoordinatorEvent & { kind: 'advert' } {
    const { state, message } = advertise(this.#terms, this.index, this.#signer, this.#rng);
    this.#state = state;
    return { kind: 'advert', message };
  }

  share(adverts: readonly Advert[]): CoordinatorEvent & { kind: 'shares' } {
    const { state, message } = share(this.#state!, adverts, this.#signer, this.#rng);
    this.#state = state;
    return { kind: 'shares', message };
  }

  /** Masks `words`, by default a vector of this silo's index. */
  mask(
    delivery: ShareDelivery,
    words = new Uint32Array(layoutLength(this.#terms.layout)).fill(this.index),
  ): { readonly event: CoordinatorEvent & { kind: 'masked' }; readonly vector: Uint32Array } {
    const { state, message, masked } = mask(this.#state!, delivery, words, this.#signer);
    this.#state = state;
    return { event: { kind: 'masked', header: message }, vector: masked };
  }

  confirm(survivors: readonly number[]): CoordinatorEvent & { kind: 'confirmation' } {
    const { state, message } = confirm(this.#state!, survivors, this.#signer);
    this.#state = state;
    return { kind: 'confirmation', message };
  }

  release(confirmations: readonly Confirmation[]): CoordinatorEvent & { kind: 'release' } {
    const { state, message } = release(this.#state!, confirmations, this.#signer);
    this.#state = state;
    return { kind: 'release', message };
  }
}
