import { MedleyError, concatBytes, fromBase64, utf8 } from '@medley/kit';
import { isSignature } from '@medley/merkle';
import { decodeReceipt } from '@medley/secagg';
import {
  checkSpend,
  readSpend,
  rosterEntries,
  roundPrice,
  type Charter,
  type SpendStatement,
} from '@medley/study';
import { Inquiry, type Claim } from './claim.ts';
import type { Entry } from './entry.ts';
import type { EventOf } from './event.ts';

/**
 * Checks what hospitals stated to have spent of their privacy budgets: each statement is signed by the
 * key that the charter pins, is of the mechanism that the charter prescribes for the round, stays within the
 * limit and never falls; and every survivor of a closed round that costs privacy had stated it before.
 */
export function checkBudgets(
  entries: readonly Entry[],
  charters: ReadonlyMap<string, Charter>,
): Claim {
  const inquiry = new Inquiry('budgets');
  const spent = new Map<string, number>();
  const stated = new Set<string>();
  for (const { index, event } of entries) {
    const where = `entry ${index}`;
    if (event.type === 'privacy.spent') {
      inquiry.check(where, () => {
        const { epsilon } = openStatement(event, charters.get(event.study));
        const account = `${event.study} ${event.data.silo}`;
        if (epsilon < (spent.get(account) ?? 0)) refuse('less was spent than before');
        spent.set(account, epsilon);
        stated.add(`${account} ${event.round}`);
      });
    }
    if (event.type === 'round.closed') checkSurvivors(inquiry, where, event, charters, stated);
  }
  return inquiry.close('every noised round was paid for, within the limit of its charter');
}

function openStatement(
  { data, round }: EventOf<'privacy.spent'>,
  charter: Charter | undefined,
): SpendStatement {
  const bytes = fromBase64(data.statement);
  const signature = fromBase64(data.signature);
  if (!charter || !bytes || !signature) return refuse('no signed charter to check it against');
  const statement = readSpend(bytes);
  // The kind must be the round's own; checkSessions derives that from the study file.
  checkSpend(statement, charter, { silo: data.silo, round, kind: statement.kind });
  const key = rosterEntries(charter).find(({ silo }) => silo === data.silo)?.identityKey;
  // The same bytes as `statementBytes('spend', …)` of @medley/pki, written out again on purpose.
  const signed = concatBytes(utf8('medley/spend/v1\n'), bytes);
  if (!key || !isSignature(key, signed, signature)) {
    refuse(`the statement of ${data.silo} is not by the key that the charter pins`);
  }
  return statement;
}

function checkSurvivors(
  inquiry: Inquiry,
  where: string,
  event: EventOf<'round.closed'>,
  charters: ReadonlyMap<string, Charter>,
  stated: ReadonlySet<string>,
): void {
  const charter = charters.get(event.study);
  const kind = event.data.kind as SpendStatement['kind'];
  if (!charter || !roundPrice(charter, kind)) return;
  inquiry.check(where, () => {
    for (const index of decodeReceipt(event.data.receipt).survivors) {
      const silo = charter.roster.find((member) => member.index === index)?.silo ?? '';
      if (!stated.has(`${event.study} ${silo} ${event.round}`))
        refuse(`${silo} is in the sum and stated no cost`);
    }
  });
}

function refuse(what: string): never {
  throw new MedleyError('PRIVACY_STATEMENT_INVALID', what);
}
