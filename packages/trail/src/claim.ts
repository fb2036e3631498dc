import { MedleyError } from '@medley/kit';

/** What the independent check found out about one property of a log. */
export interface Claim {
  readonly name: ClaimName;
  readonly ok: boolean;
  /** How many things were checked for it. */
  readonly checked: number;
  /** For people: what holds, or the first faults and where they are. */
  readonly detail: string;
}

/**
 * - `checkpoints`: every checkpoint carries the log's signature and they only grow
 * - `roots`: the root of every checkpoint follows from the entries alone
 * - `inclusion`: every entry is proven to be in the newest checkpoint's tree
 * - `consistency`: every checkpoint's tree continues the one before
 * - `events`: every entry is a well-formed event of this consortium
 * - `charters`: every study that started had its charter signed by every hospital of its roster
 * - `order`: rounds belong to a started study and follow each other as the charter allows
 * - `receipts`: every opened sum was confirmed by enough survivors, with their pinned keys
 * - `budgets`: every survivor of a noised round had stated its cost, signed, within the charter's limit
 * - `sessions`: every session id follows from charter, study file and model (where the file is known), and
 *   the evidence against a silo convicts it
 * - `models`: every round started from the state that the one before left
 */
export type ClaimName =
  | 'checkpoints'
  | 'roots'
  | 'inclusion'
  | 'consistency'
  | 'events'
  | 'charters'
  | 'order'
  | 'receipts'
  | 'budgets'
  | 'sessions'
  | 'models';

const SHOWN_FAULTS = 3;

/** Collects what is checked for one claim. */
export class Inquiry {
  readonly #name: ClaimName;
  readonly #faults: string[] = [];
  #checked = 0;

  constructor(name: ClaimName) {
    this.#name = name;
  }

  /** Records a fault unless `holds`; returns `holds`. Does not count. */
  expect(holds: boolean, fault: string): boolean {
    if (!holds) this.#faults.push(fault);
    return holds;
  }

  /** Runs one check and counts it; what it throws is a fault at `where`. Undefined when it threw. */
  check<T>(where: string, run: () => T): T | undefined {
    this.#checked++;
    try {
      return run();
    } catch (caught) {
      this.#faults.push(`${where}: ${MedleyError.from(caught).message}`);
      return undefined;
    }
  }

  /** The claim; `fine` says what holds when nothing was found. */
  close(fine: string): Claim {
    const faults = this.#faults;
    const more = faults.length - SHOWN_FAULTS;
    const shown = faults.slice(0, SHOWN_FAULTS).join('; ') + (more > 0 ? `; and ${more} more` : '');
    return {
      name: this.#name,
      ok: faults.length === 0,
      checked: this.#checked,
      detail: faults.length === 0 ? fine : shown,
    };
  }
}
