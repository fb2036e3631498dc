import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MedleyError, takeLock, type Clock, type ProcessTable } from '@medley/kit';
import {
  decideDebit,
  nextEntry,
  type LedgerEntry,
  type PrivacyLimit,
  type Release,
} from '@medley/privacy';
import type { AgentHome } from '../home.ts';
import { appendEntry, completeHead, readLedger, type LedgerFiles } from './file.ts';

/** What a ledger is opened with. */
export interface LedgerParts {
  readonly folder: string;
  readonly dataset: string;
  /** The site's limit, for all releases of all studies. */
  readonly limit: PrivacyLimit;
  readonly clock: Clock;
  readonly processes: ProcessTable;
}

/** A release to be paid for: DP-SGD of patients, one more or less, unless it says otherwise. */
export type Debit = Omit<Release, 'unit' | 'adjacency'> &
  Partial<Pick<Release, 'unit' | 'adjacency'>> & {
    /** The charter's limit for all releases of this study. */
    readonly charterLimit?: PrivacyLimit;
  };

/**
 * The privacy ledger of one data set at this site, over all studies. It keeps nothing in memory: each
 * debit reads the files, decides and appends, under a lock against other processes and one at a time
 * in this one. A process opens one ledger per data set.
 */
export class BudgetLedger {
  readonly dataset: string;
  readonly limit: PrivacyLimit;
  readonly #files: LedgerFiles;
  readonly #lock: string;
  readonly #parts: LedgerParts;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: LedgerParts) {
    const { folder, dataset, limit } = parts;
    this.dataset = dataset;
    this.limit = limit;
    this.#parts = parts;
    this.#files = {
      entries: join(folder, `${dataset}.jsonl`),
      head: join(folder, `${dataset}.head.json`),
    };
    this.#lock = join(folder, `${dataset}.lock`);
  }

  /** All that was debited, oldest first. Throws PRIVACY_LEDGER_DAMAGED, FILE_UNREADABLE. */
  async entries(): Promise<readonly LedgerEntry[]> {
    return (await readLedger(this.#files, this.dataset)).entries;
  }

  /**
   * Pays for a release. Once this returns the entry survives kill -9 and a power cut, and only then
   * may the release leave; if it throws, nothing may. A release that was paid before is not paid again:
   * the caller repeats the debit after a restart and gets the same entry.
   *
   * Throws PRIVACY_BUDGET_EXCEEDED, PRIVACY_RELEASE_REUSED, PRIVACY_ADJACENCY_MIXED,
   * PRIVACY_PARAMETERS_INVALID, PRIVACY_LEDGER_DAMAGED, PRIVACY_LEDGER_BUSY, FILE_UNREADABLE,
   * FILE_UNWRITABLE.
   */
  debit(debit: Debit): Promise<LedgerEntry> {
    const done = this.#last.then(() => this.#debit(debit));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #debit({ charterLimit, ...debit }: Debit): Promise<LedgerEntry> {
    const release: Release = { unit: 'patient', adjacency: 'addRemove', ...debit };
    const limits = {
      site: this.limit,
      ...(charterLimit === undefined ? {} : { charter: charterLimit }),
    };
    await this.#makeFolder();
    const lock = await takeLock(this.#lock, this.#parts.processes, 'PRIVACY_LEDGER_BUSY');
    try {
      const ledger = await readLedger(this.#files, this.dataset);
      const paid = decideDebit(ledger.entries, release, limits);
      if (paid) {
        await completeHead(this.#files, ledger);
        return paid;
      }
      const nowMs = this.#parts.clock.nowMs();
      const entry = nextEntry(this.dataset, ledger.entries, release, nowMs);
      await appendEntry(this.#files, ledger, entry);
      return entry;
    } finally {
      await lock.release();
    }
  }

  async #makeFolder(): Promise<void> {
    const { folder } = this.#parts;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new MedleyError('FILE_UNWRITABLE', `${folder} cannot be made`, { cause });
    }
  }
}

/** The ledger of this home's data, with the limit of its agent.yaml. */
export function openLedger(
  { paths, config }: AgentHome,
  parts: Pick<LedgerParts, 'clock' | 'processes'>,
): BudgetLedger {
  const { dataset, epsilon, delta } = config.privacy;
  return new BudgetLedger({ folder: paths.budget, dataset, limit: { epsilon, delta }, ...parts });
}
