import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { seededRng, sha256, toHex, utf8 } from '@medley/kit';
import {
  accept,
  addInto,
  advertise,
  closePhase,
  confirm,
  defaultThreshold,
  deliverables,
  deserializeCoordinator,
  deserializeSilo,
  mask,
  openCoordinator,
  release,
  serializeCoordinator,
  serializeSilo,
  share,
  type CoordinatorState,
  type IdentitySigner,
  type SessionTerms,
  type SharedSilo,
  type SharesMessage,
  type SiloState,
  type VectorLayout,
} from '@medley/secagg';

/** An Ed25519 identity that follows from its name; for tests only. */
export function identityOf(name: string): { signer: IdentitySigner; publicKey: Uint8Array } {
  const seed = sha256(utf8(`identity ${name}`));
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
  const key = createPrivateKey({
    key: Buffer.concat([prefix, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    signer: { sign: (message) => new Uint8Array(sign(null, message, key)) },
    publicKey: new Uint8Array(der.subarray(der.length - 32)),
  };
}

export const SMALL_LAYOUT: VectorLayout = [
  { name: 'update', length: 9, bound: 0.5, bits: 22 },
  { name: 'weight', length: 1, bound: 2 ** 21 - 1, bits: 22 },
];

/** Sound terms for silos 1…n named silo-1…silo-n, signed for by {@link signerOf}. */
export function termsFor(n: number, overrides: Partial<SessionTerms> = {}): SessionTerms {
  const threshold = overrides.threshold ?? defaultThreshold(n);
  return {
    protocolVersion: 2,
    suite: 1,
    federation: 'test consortium',
    study: 'recurrence-5y',
    charterHash: toHex(sha256(utf8('charter'))),
    round: 3,
    attempt: 1,
    kind: 'training',
    roster: Array.from({ length: n }, (_, i) => ({
      index: i + 1,
      silo: `silo-${i + 1}`,
      identityKey: identityOf(`silo-${i + 1}`).publicKey,
    })),
    threshold,
    minSurvivors: Math.max(3, threshold),
    ringBits: 32,
    layout: SMALL_LAYOUT,
    clipNormL2: 2,
    weightCap: 5000,
    modelHash: toHex(sha256(utf8('model'))),
    planHash: toHex(sha256(utf8('plan'))),
    ...overrides,
  };
}

export function signerOf(index: number): IdentitySigner {
  return identityOf(`silo-${index}`).signer;
}

export const STEPS = ['advertise', 'share', 'mask', 'confirm', 'release'] as const;
export type Step = (typeof STEPS)[number];

/** One whole session in memory, step by step, so that a test can interfere between any two steps. */
export interface SessionOptions {
  readonly terms: SessionTerms;
  /** Vector of silo i + 1. */
  readonly vectors: readonly Uint32Array[];
  /** Number of steps that silo i + 1 takes before it is lost; 5 for all of them (default). */
  readonly stepsTaken?: readonly number[];
  /** Write and read every state after every step. */
  readonly restart?: boolean;
  readonly seed?: string;
  /** What a silo sends in R1 in the place of its honest message. */
  readonly lies?: ReadonlyMap<number, (state: SharedSilo) => SharesMessage>;
}

export class TestSession {
  readonly terms: SessionTerms;
  readonly silos = new Map<number, SiloState>();
  readonly masked = new Map<number, Uint32Array>();
  coordinator: CoordinatorState;
  readonly #options: SessionOptions;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.terms = options.terms;
    this.coordinator = openCoordinator(options.terms);
  }

  /** Lets every silo that still lives take this step, without closing it. */
  deliver(step: Step): void {
    for (const { index } of this.terms.roster) {
      if ((this.#options.stepsTaken?.[index - 1] ?? 5) > STEPS.indexOf(step))
        this.#take(step, index);
    }
  }

  /** Delivers and closes the steps up to and including `last`. */
  runThrough(last: Step): this {
    for (const step of STEPS.slice(STEPS.indexOf(this.#phase()), STEPS.indexOf(last) + 1)) {
      if (this.coordinator.phase === 'aborted') break;
      this.deliver(step);
      this.coordinator = this.#kept(closePhase(this.terms, this.coordinator));
    }
    return this;
  }

  /** Σ of the survivors' masked vectors. */
  maskedSum(): Uint32Array {
    const sum = new Uint32Array(this.#options.vectors[0]!.length);
    for (const { silo } of this.coordinator.headers) addInto(sum, this.masked.get(silo)!);
    return sum;
  }

  state(index: number): SiloState {
    return this.silos.get(index)!;
  }

  #phase(): Step {
    const step = STEPS.find((candidate) => candidate === this.coordinator.phase);
    return step ?? 'release';
  }

  #kept(state: CoordinatorState): CoordinatorState {
    if (this.#options.restart !== true) return state;
    return deserializeCoordinator(serializeCoordinator(state), this.terms);
  }

  #take(step: Step, index: number): void {
    const { terms } = this;
    const signer = signerOf(index);
    const rng = seededRng(`${this.#options.seed ?? ''} ${step} ${index}`);
    const next = deliverables(this.coordinator, index);
    const store = (state: SiloState) => {
      const kept = this.#options.restart === true;
      this.silos.set(index, kept ? deserializeSilo(serializeSilo(state), terms) : state);
    };
    switch (next.step) {
      case 'advertise': {
        const { state, message } = advertise(terms, index, signer, rng);
        store(state);
        this.coordinator = accept(terms, this.coordinator, { kind: 'advert', message });
        return;
      }
      case 'share': {
        const { state, message: honest } = share(this.state(index), next.adverts, signer, rng);
        const message = this.#options.lies?.get(index)?.(state) ?? honest;
        store(state);
        this.coordinator = accept(terms, this.coordinator, { kind: 'shares', message });
        return;
      }
      case 'mask': {
        const vector = this.#options.vectors[index - 1]!;
        const { state, message, masked } = mask(this.state(index), next.delivery, vector, signer);
        store(state);
        this.masked.set(index, masked);
        this.coordinator = accept(terms, this.coordinator, { kind: 'masked', header: message });
        return;
      }
      case 'confirm': {
        const { state, message } = confirm(this.state(index), next.survivors, signer);
        store(state);
        this.coordinator = accept(terms, this.coordinator, { kind: 'confirmation', message });
        return;
      }
      case 'release': {
        const { state, message } = release(this.state(index), next.confirmations, signer);
        store(state);
        this.coordinator = accept(terms, this.coordinator, { kind: 'release', message });
        return;
      }
      default:
    }
  }
}

/** The code of the MedleyError that `act` throws; undefined when it throws none. */
export function codeOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code);
    throw error;
  }
}
