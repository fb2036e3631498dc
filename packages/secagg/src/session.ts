import { MedleyError, canonicalBytes, documentHash, sha256, toHex, type Json } from '@medley/kit';

/** One silo of a session, as the charter pins it. */
export interface RosterEntry {
  /** 1…n, also the silo's x in every secret sharing. */
  readonly index: number;
  readonly silo: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly identityKey: Uint8Array;
}

/** A named stretch of the vector that is added up, with its own quantiser. */
export interface Slot {
  readonly name: string;
  /** Coordinates. */
  readonly length: number;
  /** c∞: a coordinate is clamped to [−bound, bound]. */
  readonly bound: number;
  /** b: a coordinate becomes an integer of absolute value at most 2^(b−1) − 1. */
  readonly bits: number;
  /** Width of the slot's own ring, in bits, in which it travels packed; 32 when absent. */
  readonly ringBits?: 16 | 12;
}

/** Slots in the order in which they stand in the vector. */
export type VectorLayout = readonly Slot[];

/**
 * Everything that both sides must agree on before one byte is masked. {@link sessionId} hashes all
 * of it, so that silos with different terms share no key. Both sides derive it from the signed
 * charter; it never comes from the wire.
 */
export interface SessionTerms {
  readonly protocolVersion: 2;
  readonly suite: 1;
  readonly federation: string;
  readonly study: string;
  /** SHA-256, lower-case hex. */
  readonly charterHash: string;
  /** From 0. */
  readonly round: number;
  /** From 1. */
  readonly attempt: number;
  readonly kind: string;
  /** Ascending by index, 1…n without gaps. */
  readonly roster: readonly RosterEntry[];
  /** t: shares that reconstruct, confirmations that release. */
  readonly threshold: number;
  /** Fewest contributors whose sum may be opened. */
  readonly minSurvivors: number;
  /** R = 2^32. */
  readonly ringBits: 32;
  readonly layout: VectorLayout;
  readonly clipNormL2: number;
  readonly weightCap: number;
  /** SHA-256 of the exact bytes of the model that the round starts from, lower-case hex. */
  readonly modelHash: string;
  /** SHA-256 of the canonical training plan, lower-case hex; privacy parameters are part of it. */
  readonly planHash: string;
}

/** Largest roster of the complete graph (design: 3 to 200 silos). */
export const MAX_ROSTER = 200;
/** Longest vector, in words: 1 GiB. */
const MAX_WORDS = 2 ** 28;
const SLOT_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const SHA256_HEX = /^[0-9a-f]{64}$/;

/** ⌊2n/3⌋ + 1: tolerates up to a third of colluding or lost silos (Bonawitz et al. 2017, section 6.2). */
export function defaultThreshold(n: number): number {
  return Math.floor((2 * n) / 3) + 1;
}

/** Fewest silos with which any step before the confirmation may go on. */
export function quorum(terms: SessionTerms): number {
  return Math.max(terms.threshold, terms.minSurvivors);
}

/** Words of a vector with this layout. */
export function layoutLength(layout: VectorLayout): number {
  return layout.reduce((sum, slot) => sum + slot.length, 0);
}

/** The canonical document behind {@link sessionId}. */
export function termsDocument(terms: SessionTerms): Json {
  return {
    protocolVersion: terms.protocolVersion,
    suite: terms.suite,
    federation: terms.federation,
    study: terms.study,
    charterHash: terms.charterHash,
    round: terms.round,
    attempt: terms.attempt,
    kind: terms.kind,
    roster: terms.roster.map((entry) => ({
      index: entry.index,
      silo: entry.silo,
      identityKeyHash: toHex(sha256(entry.identityKey)),
    })),
    threshold: terms.threshold,
    minSurvivors: terms.minSurvivors,
    ringBits: terms.ringBits,
    length: layoutLength(terms.layout),
    layout: terms.layout.map(({ name, length, bound, bits, ringBits }) => ({
      ...{ name, length, bound, bits },
      ...(ringBits !== undefined && { ringBits }),
    })),
    clipNormL2: terms.clipNormL2,
    weightCap: terms.weightCap,
    modelHash: terms.modelHash,
    planHash: terms.planHash,
  };
}

/**
 * The session id: SHA-256 of the RFC 8785 form of {domain, terms}, 32 bytes. Salt of every key
 * derivation and part of every signature. Call {@link checkTerms} before trusting the terms.
 */
export function sessionId(terms: SessionTerms): Uint8Array {
  const known = sessionIds.get(terms);
  if (known) return known.slice();
  const sid = sha256(
    canonicalBytes({ domain: 'medley/secagg/v1/session', terms: termsDocument(terms) }),
  );
  sessionIds.set(terms, sid);
  return sid.slice();
}

/** Of terms objects, which are never changed: every message of a round asks for the same one. */
const sessionIds = new WeakMap<SessionTerms, Uint8Array>();

/** Lower-case hex SHA-256 of the terms document alone, for people who compare documents. */
export function termsHash(terms: SessionTerms): string {
  return documentHash(termsDocument(terms));
}

/** The roster's entry of silo `index`. Throws SECAGG_SILO_UNKNOWN. */
export function rosterEntry(terms: SessionTerms, index: number): RosterEntry {
  const entry = terms.roster.find((candidate) => candidate.index === index);
  if (entry === undefined) {
    throw new MedleyError(
      'SECAGG_SILO_UNKNOWN',
      `no silo ${index} in a roster of ${terms.roster.length}`,
    );
  }
  return entry;
}

/**
 * Refuses terms that are unsafe or impossible, before any key is made.
 *
 * Throws SECAGG_TERMS_VERSION, SECAGG_TERMS_FIELD, SECAGG_TERMS_ROSTER, SECAGG_TERMS_THRESHOLD
 * (needs n < 2t ≤ 2n), SECAGG_TERMS_SURVIVORS (needs max(3, t) ≤ minSurvivors ≤ n),
 * SECAGG_TERMS_LAYOUT, SECAGG_TERMS_OVERFLOW (needs n·2^(b−1) < R/2 for each slot, R being
 * the slot's own ring).
 */
export function checkTerms(terms: SessionTerms): void {
  // Widened: the literal types are only as good as the caller.
  const { protocolVersion, suite, ringBits }: Readonly<Record<string, unknown>> = { ...terms };
  if (protocolVersion !== 2 || suite !== 1 || ringBits !== 32) {
    throw new MedleyError(
      'SECAGG_TERMS_VERSION',
      'only protocol version 2, suite 1, ring of 32 bits',
    );
  }
  checkFields(terms);
  checkRoster(terms.roster);
  checkThresholds(terms);
  checkLayout(terms.layout, terms.roster.length);
}

function checkFields(terms: SessionTerms): void {
  const fault = (field: string): never => {
    throw new MedleyError('SECAGG_TERMS_FIELD', `${field} is out of range`);
  };
  for (const field of ['federation', 'study', 'kind'] as const) {
    if (terms[field].length < 1 || terms[field].length > 200) fault(field);
  }
  for (const field of ['charterHash', 'modelHash', 'planHash'] as const) {
    if (!SHA256_HEX.test(terms[field])) fault(field);
  }
  if (!Number.isSafeInteger(terms.round) || terms.round < 0) fault('round');
  if (!Number.isSafeInteger(terms.attempt) || terms.attempt < 1) fault('attempt');
  for (const field of ['clipNormL2', 'weightCap'] as const) {
    if (!Number.isFinite(terms[field]) || terms[field] <= 0) fault(field);
  }
}

function checkRoster(roster: readonly RosterEntry[]): void {
  const fault = (what: string): never => {
    throw new MedleyError('SECAGG_TERMS_ROSTER', what);
  };
  if (roster.length < 3 || roster.length > MAX_ROSTER) fault(`a roster of ${roster.length} silos`);
  roster.forEach((entry, position) => {
    if (entry.index !== position + 1) fault(`index ${entry.index} at position ${position + 1}`);
    if (entry.silo === '') fault(`silo ${entry.index} has no name`);
    if (entry.identityKey.length !== 32)
      fault(`identity key of silo ${entry.index} is not 32 bytes`);
  });
  if (new Set(roster.map((entry) => entry.silo)).size !== roster.length)
    fault('a name stands twice');
  if (new Set(roster.map((entry) => toHex(entry.identityKey))).size !== roster.length) {
    fault('an identity key stands twice');
  }
}

function checkThresholds(terms: SessionTerms): void {
  const n = terms.roster.length;
  const { threshold: t, minSurvivors } = terms;
  // 2t > n: two disjoint groups of t cannot confirm two survivor sets (Bonawitz et al. 2017, section 6.2).
  if (!Number.isInteger(t) || 2 * t <= n || t > n) {
    throw new MedleyError('SECAGG_TERMS_THRESHOLD', `threshold ${t} for ${n} silos`);
  }
  if (!Number.isInteger(minSurvivors) || minSurvivors < Math.max(3, t) || minSurvivors > n) {
    throw new MedleyError(
      'SECAGG_TERMS_SURVIVORS',
      `minSurvivors ${minSurvivors} for ${n} silos and threshold ${t}`,
    );
  }
}

function checkLayout(layout: VectorLayout, n: number): void {
  const fault = (what: string): never => {
    throw new MedleyError('SECAGG_TERMS_LAYOUT', what);
  };
  if (layout.length === 0) fault('no slots');
  if (new Set(layout.map((slot) => slot.name)).size !== layout.length) fault('a slot stands twice');
  for (const { name, length, bound, bits, ringBits = 32 } of layout) {
    if (!SLOT_NAME.test(name)) fault('a slot has no proper name');
    if (!Number.isSafeInteger(length) || length < 1) fault(`slot ${name}: length ${length}`);
    if (!Number.isFinite(bound) || bound <= 0) fault(`slot ${name}: bound ${bound}`);
    if (!Number.isInteger(bits) || bits < 2 || bits > 31) fault(`slot ${name}: ${bits} bits`);
    if (![32, 16, 12].includes(ringBits)) fault(`slot ${name}: a ring of ${ringBits} bits`);
    if (n * 2 ** (bits - 1) >= 2 ** (ringBits - 1)) {
      const what = `${bits} bits from ${n} silos in a ring of ${ringBits}`;
      throw new MedleyError('SECAGG_TERMS_OVERFLOW', `slot ${name}: ${what}`);
    }
  }
  if (layoutLength(layout) > MAX_WORDS) fault('the vector is too long');
}
