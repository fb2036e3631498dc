import { equalBytes, fromBase64, MedleyError, toBase64, type Clock } from '@medley/kit';
import { verifyStatement } from '@medley/pki';
import { checkDecision, readDecision, type Charter, type Decision } from '@medley/study';
import type { Change, Ledger } from '../log/ledger.ts';
import type { SignatureRow, StudyRow } from '../store/rows.ts';
import type { Store, Tables } from '../store/store.ts';
import { memberIndex, type Agreements } from './agreement.ts';

export interface StudyParts {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly agreements: Agreements;
}

/** A signed decision as it comes in. */
export interface SignedStatement {
  readonly silo: string;
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
}

/** How far the signing of a charter has come. */
export interface Signing {
  readonly signed: number;
  readonly rosterSize: number;
}

/** Studies between their proposal and their end: decisions of the silos, start, stop. */
export class StudyDesk {
  readonly #parts: StudyParts;

  constructor(parts: StudyParts) {
    this.#parts = parts;
  }

  /** Throws STUDY_UNKNOWN. */
  async get(name: string): Promise<StudyRow> {
    return studyOf(this.#parts.store.tables, name);
  }

  /** The study for one of its silos. Throws STUDY_UNKNOWN, ROUND_OUTSIDER. */
  async getFor(name: string, silo: string): Promise<StudyRow> {
    const row = await this.get(name);
    this.#member(row, silo);
    return row;
  }

  /** The studies whose roster names the silo. */
  async listFor(silo: string): Promise<StudyRow[]> {
    const rows = await this.#parts.store.tables.studies.list();
    return rows.filter((row) => memberIndex(this.#parts.agreements.of(row).charter, silo));
  }

  /**
   * Takes a silo's decision. While the study is proposed, a silo may change its mind; the log keeps
   * both. The same decision again changes nothing.
   *
   * Throws STUDY_UNKNOWN, ROUND_OUTSIDER, STUDY_STATE, DECISION_INVALID and STUDY_DECISION_INVALID
   * (another silo's, or not signed by the identity key of the charter).
   */
  async decide(
    name: string,
    silo: string,
    wanted: Decision['decision'],
    signed: SignedStatement,
  ): Promise<Signing> {
    return this.#parts.ledger.change(async (change) => {
      const { tables } = change;
      const row = await studyOf(tables, name);
      const { charter } = this.#parts.agreements.of(row);
      this.#member(row, silo);
      const decision = checkedDecision(charter, silo, wanted, signed);
      const earlier = await tables.signatures.get(name, silo);
      if (!earlier || !equalBytes(earlier.signature, signed.signature)) {
        if (row.state !== 'proposed') {
          throw new MedleyError('STUDY_STATE', `study ${name} is ${row.state}`);
        }
        await this.#put(change, row, decision, signed);
      }
      return signingOf(await tables.signatures.of(name), charter);
    });
  }

  /**
   * Begins the rounds of a study that every silo of its roster has signed. A study that is active
   * already stays as it is. Throws STUDY_UNKNOWN, STUDY_STATE, STUDY_UNSIGNED, CHARTER_EXPIRED.
   */
  async start(name: string, operator: string): Promise<void> {
    const { ledger, clock, agreements } = this.#parts;
    await ledger.change(async ({ tables, record }) => {
      const row = await studyOf(tables, name);
      const { charter } = agreements.of(row);
      if (row.state === 'active') return;
      if (row.state !== 'proposed') {
        throw new MedleyError('STUDY_STATE', `study ${name} is ${row.state}`);
      }
      const nowMs = clock.nowMs();
      if (nowMs > Date.parse(charter.expires)) throw new MedleyError('CHARTER_EXPIRED', name);
      const missing = unsigned(await tables.signatures.of(name), charter);
      if (missing.length > 0) {
        throw new MedleyError('STUDY_UNSIGNED', `${name} lacks ${missing.join(', ')}`);
      }
      await tables.studies.put({ ...row, state: 'active', startedMs: nowMs });
      await record({
        type: 'study.started',
        actor: { kind: 'operator', id: operator },
        outcome: 'ok',
        study: name,
        data: { charterHash: row.charterHash, charter },
      });
    });
  }

  #member(row: StudyRow, silo: string): number {
    const index = memberIndex(this.#parts.agreements.of(row).charter, silo);
    if (index === undefined) {
      throw new MedleyError('ROUND_OUTSIDER', `${silo} is not in the roster of ${row.name}`);
    }
    return index;
  }

  async #put(
    change: Change,
    row: StudyRow,
    decision: Decision,
    signed: SignedStatement,
  ): Promise<void> {
    const { silo, statement, signature } = signed;
    const isApproval = decision.decision === 'approve';
    await change.tables.signatures.put({
      study: row.name,
      silo,
      decision: isApproval ? 'signed' : 'refused',
      statement,
      signature,
      atMs: this.#parts.clock.nowMs(),
    });
    await change.record({
      type: isApproval ? 'charter.signed' : 'charter.refused',
      actor: { kind: 'silo', id: silo },
      outcome: isApproval ? 'ok' : 'refused',
      study: row.name,
      data: {
        charterHash: row.charterHash,
        silo,
        statement: toBase64(statement),
        signature: toBase64(signature),
      },
    });
  }
}

/** Ends a study inside a change, and records why. */
export async function stopStudy(
  { tables, record }: Change,
  row: StudyRow,
  end: {
    readonly state: 'withdrawn' | 'expired';
    readonly reason: string;
    readonly actor: { readonly kind: 'operator' | 'aggregator'; readonly id: string };
    readonly nowMs: number;
  },
): Promise<void> {
  const reason = end.reason.trim() === '' ? 'no reason given' : end.reason.slice(0, 1000);
  await tables.studies.put({ ...row, state: end.state, endedMs: end.nowMs, reason });
  await record({
    type: 'study.stopped',
    actor: end.actor,
    outcome: 'ok',
    study: row.name,
    data: { reason },
  });
}

/** The study's row. Throws STUDY_UNKNOWN. */
export async function studyOf(tables: Tables, name: string): Promise<StudyRow> {
  const row = await tables.studies.get(name);
  if (!row) throw new MedleyError('STUDY_UNKNOWN', `study ${name.slice(0, 64)}`);
  return row;
}

/** Silos of the roster that have not signed, by roster order. */
export function unsigned(signatures: readonly SignatureRow[], charter: Charter): string[] {
  const signed = signatures.filter(({ decision }) => decision === 'signed').map(({ silo }) => silo);
  return charter.roster.map(({ silo }) => silo).filter((silo) => !signed.includes(silo));
}

/** Counts of signatures of a charter. */
export function signingOf(signatures: readonly SignatureRow[], charter: Charter): Signing {
  const rosterSize = charter.roster.length;
  return { signed: rosterSize - unsigned(signatures, charter).length, rosterSize };
}

/** Throws DECISION_INVALID, STUDY_DECISION_INVALID unless the silo's pinned key signed it. */
export function checkedDecision(
  charter: Charter,
  silo: string,
  wanted: Decision['decision'],
  signed: SignedStatement,
): Decision {
  const decision = readDecision(signed.statement);
  checkDecision(decision, charter);
  const member = charter.roster.find((one) => one.silo === silo);
  const key = fromBase64(member?.identityKey ?? '') ?? new Uint8Array();
  const holds =
    decision.silo === silo &&
    signed.silo === silo &&
    decision.decision === wanted &&
    signed.signature.length === 64 &&
    // The decision is plain JSON: it was just read from its canonical bytes.
    verifyStatement(key, 'charter', { ...decision }, signed.signature);
  if (!holds) throw new MedleyError('STUDY_DECISION_INVALID', `decision of ${silo}`);
  return decision;
}
