import { fromBase64, sha256, toHex, utf8 } from '@medley/kit';
import { readDecision, readSpend, type Decision, type SpendStatement } from '@medley/study';
import type { TrailEvent } from '../event.ts';

/** One thing that an entry says, as text. Names are paths in the event's data, as docs/events.md has them. */
export interface Fact {
  readonly name: string;
  readonly value: string;
}

/** Longer texts are named by their SHA-256; the entry has them in full. */
const LONGEST = 200;
/** Too large for a line; `charterHash` names the one, the facts below sum up the other. */
const SUMMED_UP: ReadonlySet<string> = new Set(['charter', 'receipt']);

/**
 * What an entry's data says, flat and in the entry's order: numbers and short texts as they are, long
 * texts as `…Sha256`. Signed statements are read as well: steward, meaning and time of a decision,
 * ε, δ and limit of a privacy statement. `unreadable` stands for a statement that cannot be read.
 */
export function factsOf(event: TrailEvent): readonly Fact[] {
  return [...flatten(event.data, ''), ...signedFacts(event), ...receiptFacts(event)];
}

function flatten(value: object, prefix: string): Fact[] {
  return Object.entries(value).flatMap(([key, child]: [string, unknown]): Fact[] => {
    const name = `${prefix}${key}`;
    if (SUMMED_UP.has(name) || child === undefined || child === null) return [];
    if (Array.isArray(child)) return [{ name, value: child.map(String).join(' ') }];
    if (typeof child === 'object') return flatten(child, `${name}.`);
    return [textFact(name, typeof child === 'string' ? child : JSON.stringify(child))];
  });
}

function textFact(name: string, text: string): Fact {
  if (text.length <= LONGEST) return { name, value: text };
  return { name: `${name}Sha256`, value: toHex(sha256(utf8(text))) };
}

function signedFacts(event: TrailEvent): Fact[] {
  const decision = decisionOf(event);
  const spend = spendOf(event);
  if (decision === 'unreadable' || spend === 'unreadable') {
    return [{ name: 'signed', value: 'unreadable' }];
  }
  if (decision) {
    const { steward, meaning, at, reason } = decision;
    const facts = { 'signed.steward': steward, 'signed.at': at, 'signed.meaning': meaning };
    return Object.entries({ ...facts, ...(reason ? { 'signed.reason': reason } : {}) }).map(
      ([name, value]) => ({ name, value }),
    );
  }
  if (!spend) return [];
  return (['kind', 'unit', 'epsilon', 'delta', 'limit'] as const).map((key) => ({
    name: `signed.${key}`,
    value: String(spend[key]),
  }));
}

function receiptFacts(event: TrailEvent): Fact[] {
  if (event.type !== 'round.closed') return [];
  const { survivors, sharers } = event.data.receipt;
  return Object.entries({ survivors, sharers }).map(([key, value]) => ({
    name: `receipt.${key}`,
    value: Array.isArray(value) ? value.map(String).join(' ') : JSON.stringify(value ?? null),
  }));
}

/** The steward's word in an entry of a charter; undefined for entries of other types. */
export function decisionOf(event: TrailEvent): Decision | 'unreadable' | undefined {
  switch (event.type) {
    case 'charter.signed':
    case 'charter.refused':
    case 'charter.withdrawn':
      return read(event.data.statement, readDecision);
    default:
      return undefined;
  }
}

/** What a hospital stated to have spent; undefined for entries of other types. */
export function spendOf(event: TrailEvent): SpendStatement | 'unreadable' | undefined {
  return event.type === 'privacy.spent' ? read(event.data.statement, readSpend) : undefined;
}

function read<T>(base64: string, decode: (bytes: Uint8Array) => T): T | 'unreadable' {
  try {
    return decode(fromBase64(base64) ?? new Uint8Array());
  } catch {
    // The entry stands in the log all the same; `medley audit verify` says that it fails.
    return 'unreadable';
  }
}

/** The hospital that an entry is about, where it is about one. */
export function siloOf(event: TrailEvent): string | undefined {
  return 'silo' in event.data ? event.data.silo : undefined;
}
