import { MedleyError } from '@medley/kit';
import { accept, layoutLength, type CoordinatorEvent, type MaskedHeader } from '@medley/secagg';
import type { RoundId, RoundRow, RoundStep } from '../store/rows.ts';
import type { Tables } from '../store/store.ts';
import { memberIndex } from '../studies/agreement.ts';
import type { OpenRound, RoundBook, RoundParts } from './book.ts';
import { decodeCourse, wasAccepted } from './codec.ts';
import { refusalCode, senderOf } from './round.ts';

/** Step whose message an event is. */
const STEP_OF: Readonly<Record<CoordinatorEvent['kind'], RoundStep>> = {
  advert: 'advertise',
  shares: 'share',
  masked: 'mask',
  confirmation: 'confirm',
  release: 'release',
};

/** Where the messages of silos enter their rounds. */
export class Inbox {
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
      return await this.#parts.ledger.change(async (change) => {
        const open = this.#book.find(id);
        if (!open) return await afterEnd(change.tables, id, message);
        checkSender(open, silo, message);
        const before = open.state.coordinator;
        const state = await this.#book.apply(change, open, { kind: 'message', message });
        return { repeated: state.coordinator === before };
      });
    } catch (caught) {
      await this.#book.refuse(id, silo, STEP_OF[message.kind], refusalCode(caught));
      throw caught;
    }
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
      const expected = 4 * layoutLength(open.terms.layout);
      if (sizeBytes === expected) return expected;
      throw new MedleyError('ROUND_VECTOR_LENGTH', `${sizeBytes} bytes instead of ${expected}`);
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
