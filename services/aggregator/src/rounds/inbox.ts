import { MedleyError } from '@medley/kit';
import { accept, wireLength, type CoordinatorEvent, type MaskedHeader } from '@medley/secagg';
import type { SpendBytes } from '@medley/study';
import type { Change } from '../log/ledger.ts';
import type { RoundId, RoundRow, RoundStep } from '../store/rows.ts';
import type { Tables } from '../store/store.ts';
import { memberIndex } from '../studies/agreement.ts';
import type { OpenRound, RoundBook, RoundParts } from './book.ts';
import { decodeCourse, wasAccepted } from './codec.ts';
import { awaited, refusalCode, senderOf } from './round.ts';
import { takeSpend } from './spends.ts';

/** Step whose message an event is. */
const STEP_OF: Readonly<Record<CoordinatorEvent['kind'], RoundStep>> = {
  advert: 'advertise',
  shares: 'share',
  masked: 'mask',
  complaint: 'mask',
  confirmation: 'confirm',
  release: 'release',
};

/** A message and who brought it, by certificate. */
interface Letter {
  readonly silo: string;
  readonly message: CoordinatorEvent;
}

/** Letters for one attempt that wait for the same change. */
interface Batch {
  readonly letters: Letter[];
  /** Silos that the step still waited for when the first letter came. */
  readonly expected: number;
  /** Closes the batch to wait no longer. */
  readonly full: () => void;
  readonly taken: Promise<readonly PromiseSettledResult<{ readonly repeated: boolean }>[]>;
}

/** Where the messages of silos enter their rounds. */
export class Inbox {
  readonly #waiting = new Map<string, Batch>();
  readonly #parts: RoundParts;
  readonly #book: RoundBook;

  constructor(parts: RoundParts, book: RoundBook) {
    this.#parts = parts;
    this.#book = book;
  }

  /**
   * Takes one message of the protocol from `silo`. Durable when it resolves; `repeated` when the very
   * same one had been taken before. Throws ROUND_UNKNOWN, ROUND_OUTSIDER, ROUND_WITHDRAWN and the
   * SECAGG_* of a refused message, which changes nothing but the log.
   */
  async message(
    id: RoundId,
    silo: string,
    message: CoordinatorEvent,
  ): Promise<{ readonly repeated: boolean }> {
    try {
      return await this.#enter(id, { silo, message });
    } catch (caught) {
      await this.#book.refuse(id, silo, STEP_OF[message.kind], refusalCode(caught));
      throw caught;
    }
  }

  /** Messages of one step that come at about the same time enter together: one write for all. */
  async #enter(id: RoundId, letter: Letter): Promise<{ readonly repeated: boolean }> {
    const key = `${id.study} ${String(id.round)} ${String(id.attempt)}`;
    const batch = this.#waiting.get(key) ?? this.#gather(key, id);
    const place = batch.letters.push(letter) - 1;
    if (batch.letters.length >= batch.expected) batch.full();
    const result = (await batch.taken)[place];
    if (result?.status === 'fulfilled') return result.value;
    throw result?.reason;
  }

  /** A batch that is closed when everybody has written, or after a moment. */
  #gather(key: string, id: RoundId): Batch {
    const { ledger, clock, gatherMs } = this.#parts;
    const open = this.#book.find(id);
    const expected = open ? awaited(open.terms, open.state).length : 1;
    const letters: Letter[] = [];
    const over = new AbortController();
    const moment =
      gatherMs > 0 && expected > 1
        ? clock.sleep(gatherMs, over.signal).catch(() => undefined)
        : Promise.resolve();
    const taken = moment.then(() =>
      ledger.change((change) => {
        this.#waiting.delete(key);
        return this.#takeAll(change, id, letters);
      }),
    );
    const batch = { letters, expected, taken, full: () => over.abort() };
    this.#waiting.set(key, batch);
    return batch;
  }

  async #takeAll(
    change: Change,
    id: RoundId,
    letters: readonly Letter[],
  ): Promise<PromiseSettledResult<{ readonly repeated: boolean }>[]> {
    const open = this.#book.find(id);
    if (!open) {
      const ended = letters.map(({ message }) => afterEnd(change.tables, id, message));
      return Promise.allSettled(ended);
    }
    const events = letters.map(({ silo, message }) => () => {
      checkSender(open, silo, message);
      return { kind: 'message', message } as const;
    });
    const results = await this.#book.applyAll(change, open, events);
    return results.map((result) =>
      result.status === 'rejected'
        ? result
        : {
            status: 'fulfilled',
            value: { repeated: result.value.after.coordinator === result.value.before.coordinator },
          },
    );
  }

  /**
   * Looks at a masked vector's header before the vector is taken. Gives the size that it must have,
   * or undefined when it is a repeat and need not be sent. Throws as {@link Inbox.message}, and
   * ROUND_VECTOR_LENGTH.
   */
  async admitVector(
    id: RoundId,
    silo: string,
    header: MaskedHeader,
    sizeBytes: number,
  ): Promise<number | undefined> {
    const message = { kind: 'masked', header } as const;
    try {
      const open = this.#book.find(id);
      if (!open) {
        await afterEnd(this.#parts.store.tables, id, message);
        return undefined;
      }
      checkSender(open, silo, message);
      const { coordinator } = open.state;
      if (accept(open.terms, coordinator, message) === coordinator) return undefined;
      const expected = wireLength(open.terms.layout);
      if (sizeBytes === expected) return expected;
      throw new MedleyError('ROUND_VECTOR_LENGTH', `${sizeBytes} bytes instead of ${expected}`);
    } catch (caught) {
      await this.#book.refuse(id, silo, 'mask', refusalCode(caught));
      throw caught;
    }
  }

  /** Takes what a silo states that the round cost it, before its vector: {@link takeSpend}. */
  async spend(id: RoundId, silo: string, bytes: SpendBytes | undefined): Promise<void> {
    try {
      await takeSpend(this.#parts, this.#book, id, silo, bytes);
    } catch (caught) {
      await this.#book.refuse(id, silo, 'mask', refusalCode(caught));
      throw caught;
    }
  }

  /** Lets a silo out of an attempt; after its end that means nothing. Throws ROUND_UNKNOWN, ROUND_OUTSIDER. */
  async withdraw(id: RoundId, silo: string, code: string): Promise<void> {
    await this.#parts.ledger.change(async (change) => {
      const open = this.#book.find(id);
      if (!open) {
        await endedRow(change.tables, id);
        return;
      }
      this.#parts.logger.info('silo withdrew', { ...id, silo, code: code.slice(0, 64) });
      await this.#book.apply(change, open, { kind: 'withdraw', silo: indexIn(open, silo), code });
    });
  }
}

/** What an ended round answers: a repeat is confirmed, anything else comes too late. */
async function afterEnd(
  tables: Tables,
  id: RoundId,
  message: CoordinatorEvent,
): Promise<{ readonly repeated: boolean }> {
  const row = await endedRow(tables, id);
  const { signature } = message.kind === 'masked' ? message.header : message.message;
  if (wasAccepted(decodeCourse(row.state), signature)) return { repeated: true };
  throw new MedleyError('SECAGG_LATE', `round ${id.round} attempt ${id.attempt} is ${row.step}`);
}

async function endedRow(tables: Tables, id: RoundId): Promise<RoundRow> {
  const row = await tables.rounds.get(id);
  if (!row) throw new MedleyError('ROUND_UNKNOWN', `round ${id.round} attempt ${id.attempt}`);
  return row;
}

function indexIn(open: OpenRound, silo: string): number {
  const index = memberIndex(open.agreement.charter, silo);
  if (index === undefined) {
    throw new MedleyError(
      'ROUND_OUTSIDER',
      `${silo} is not in the roster of ${open.state.id.study}`,
    );
  }
  return index;
}

/** The certificate says who speaks; a message for another silo is refused, however well signed. */
function checkSender(open: OpenRound, silo: string, message: CoordinatorEvent): void {
  if (senderOf(message) !== indexIn(open, silo)) {
    throw new MedleyError('ROUND_OUTSIDER', `${silo} sent a message of another silo`);
  }
}
