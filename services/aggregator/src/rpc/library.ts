import { MedleyError } from '@medley/kit';
import type { RoundId, RoundRow, StudyRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import { memberIndex, type Agreements } from '../studies/agreement.ts';

/**
 * Which blobs may be handed out: models, model states and opened sums of a study, to its silos and to
 * operators. Masked vectors are in no list: nobody gets another silo's.
 */
export class Library {
  readonly #store: Store;
  readonly #agreements: Agreements;

  constructor(store: Store, agreements: Agreements) {
    this.#store = store;
    this.#agreements = agreements;
  }

  /**
   * Finds a blob among what `silo` (any silo for an operator) may have. Gives the round that it
   * belongs to, the newest if several; undefined for documents of a study. Throws BLOB_UNKNOWN.
   */
  async find(hash: string, silo?: string): Promise<RoundId | undefined> {
    const { studies, rounds } = this.#store.tables;
    const rows = (await studies.list()).filter((row) => this.#mayRead(row, silo));
    for (const row of rows) {
      const newest = await rounds.newest(row.name);
      if (newest && holds(newest, hash)) return idOf(newest);
    }
    for (const row of rows) {
      if (row.model.hash === hash || row.modelState.hash === hash) return undefined;
      const found = (await rounds.of(row.name)).findLast((round) => holds(round, hash));
      if (found) return idOf(found);
    }
    throw new MedleyError('BLOB_UNKNOWN', `no blob ${hash.slice(0, 64)} for this caller`);
  }

  #mayRead(row: StudyRow, silo: string | undefined): boolean {
    return silo === undefined || memberIndex(this.#agreements.of(row).charter, silo) !== undefined;
  }
}

function holds({ model, outcome }: RoundRow, hash: string): boolean {
  return [model, outcome?.aggregate, outcome?.nextModel].some((blob) => blob?.hash === hash);
}

function idOf({ study, round, attempt }: RoundRow): RoundId {
  return { study, round, attempt };
}
