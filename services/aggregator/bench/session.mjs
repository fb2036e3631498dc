import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { systemRng, toHex } from '@medley/kit';
import {
  accept,
  addInto,
  advertise,
  closePhase,
  confirm,
  defaultThreshold,
  deliverables,
  encodeVector,
  maskWith,
  openCoordinator,
  release,
  share,
} from '@medley/secagg';

const signers = new WeakMap();

/** Terms of a round of `silos` with vectors of `size` words; every silo gets an identity of its own. */
export function pretendTerms(silos, size) {
  const hash = (text) => createHash('sha256').update(text).digest('hex');
  const threshold = defaultThreshold(silos);
  const keys = new Map();
  const roster = Array.from({ length: silos }, (_, i) => {
    const { privateKey } = generateKeyPairSync('ed25519');
    keys.set(i + 1, { sign: (message) => new Uint8Array(sign(null, message, privateKey)) });
    const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
    return { index: i + 1, silo: `silo-${i + 1}`, identityKey: new Uint8Array(der.subarray(-32)) };
  });
  const terms = {
    protocolVersion: 2,
    suite: 1,
    federation: 'bench',
    study: 'bench',
    charterHash: hash('charter'),
    round: 1,
    attempt: 1,
    kind: 'training',
    roster,
    threshold,
    minSurvivors: Math.max(3, threshold),
    ringBits: 32,
    layout: [{ name: 'update', length: size, bound: 0.25, bits: 22 }],
    clipNormL2: 1,
    weightCap: 5000,
    modelHash: hash('model'),
    planHash: hash('plan'),
  };
  signers.set(terms, keys);
  return terms;
}

/** A round, step by step: the time of silos and of the aggregator is metered apart. */
export class Session {
  coordinator;
  plainSum;
  #states = new Map();
  #parts;
  #values;

  constructor(parts) {
    this.#parts = parts;
    this.coordinator = openCoordinator(parts.terms);
    const [{ length }] = parts.terms.layout;
    this.plainSum = new Uint32Array(length);
    this.#values = new Float64Array(length);
  }

  async run(step, lost = new Set()) {
    const { terms, meter, atOnce } = this.#parts;
    const waiting = terms.roster.map(({ index }) => index).filter((index) => !lost.has(index));
    const worker = async () => {
      for (let index = waiting.shift(); index; index = waiting.shift())
        await this.#step(step, index);
    };
    // While threads mask one silo's vector, another silo may prepare its own.
    const workers = Array.from({ length: step === 'mask' ? atOnce : 1 }, worker);
    await Promise.all(workers);
    await meter.time(`aggregator ${step}`, () => {
      this.coordinator = closePhase(terms, this.coordinator);
    });
  }

  async #step(step, index) {
    const { meter, signal, progress, terms } = this.#parts;
    progress(`${step} ${index}/${terms.roster.length}`);
    await breathe();
    signal.throwIfAborted();
    const task = deliverables(this.coordinator, index);
    const vector = step === 'mask' ? await this.#encoded() : undefined;
    const made = await meter.time(`silo ${step}`, () => this.#take(index, task, vector));
    this.#states.set(index, made.state);
    await meter.time(`aggregator ${step}`, () => this.#accept(step, made));
  }

  #take(index, task, vector) {
    const { terms, masker } = this.#parts;
    const signer = signers.get(terms).get(index);
    const state = this.#states.get(index);
    switch (task.step) {
      case 'advertise':
        return advertise(terms, index, signer, systemRng);
      case 'share':
        return share(state, task.adverts, signer, systemRng);
      case 'mask':
        return maskWith(masker, state, task.delivery, vector, signer);
      case 'confirm':
        return confirm(state, task.survivors, signer);
      case 'release':
        return release(state, task.confirmations, signer);
      default:
        throw new Error(`no task: ${task.step}`);
    }
  }

  async #accept(step, { message, wire: bytes }) {
    const { terms, blobs } = this.#parts;
    const kind = { advertise: 'advert', share: 'shares', confirm: 'confirmation' }[step] ?? step;
    if (step !== 'mask') {
      this.coordinator = accept(terms, this.coordinator, { kind, message });
      return;
    }
    // As over the wire: the vector is stored under the hash that its header signs, then forgotten.
    const expected = {
      hash: toHex(message.vectorHash),
      sizeBytes: bytes.length,
      limitBytes: bytes.length,
    };
    await blobs.receive(inPieces(bytes), expected);
    this.coordinator = accept(terms, this.coordinator, { kind: 'masked', header: message });
  }

  /** A vector of this bench's making; the plain sum is what the opened sum is compared with. */
  async #encoded() {
    const { terms, meter } = this.#parts;
    return meter.time('bench', () => {
      const values = this.#values;
      const shift = Math.random();
      for (let i = 0; i < values.length; i++) values[i] = 0.25 * Math.sin(i + shift);
      const vector = encodeVector(terms.layout, { update: values }, systemRng);
      addInto(this.plainSum, vector);
      return vector;
    });
  }
}

const PIECE_BYTES = 2 ** 20;

async function* inPieces(bytes) {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

function breathe() {
  return new Promise((resolve) => setImmediate(resolve));
}
