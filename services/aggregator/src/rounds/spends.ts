import { equalBytes, MedleyError, toBase64 } from '@medley/kit';
import { verifyStatement } from '@medley/pki';
import {
  checkSpend,
  readSpend,
  rosterEntries,
  roundPrice,
  SPEND_DOMAIN,
  type Charter,
  type SpendBytes,
  type SpendStatement,
} from '@medley/study';
import type { RoundId } from '../store/rows.ts';
import type { RoundBook, RoundParts } from './book.ts';

/**
 * Takes a hospital's statement of what a round cost it, before its vector is taken: the statement is
 * in the store and in the log when this resolves. Rounds that cost nothing need none. The same
 * statement again, as with another attempt, changes nothing. Throws PRIVACY_STATEMENT_INVALID.
 */
export async function takeSpend(
  { ledger, clock }: Pick<RoundParts, 'ledger' | 'clock'>,
  book: RoundBook,
  id: RoundId,
  silo: string,
  bytes: SpendBytes | undefined,
): Promise<void> {
  const open = book.find(id);
  const charter = open?.agreement.charter;
  if (!charter || !roundPrice(charter, open.state.kind)) return;
  if (!bytes)
    throw new MedleyError('PRIVACY_STATEMENT_INVALID', `${silo} stated nothing for its vector`);
  const { round } = id;
  verifySpend(charter, { silo, round, kind: open.state.kind }, bytes);
  await ledger.change(async ({ tables, record }) => {
    const known = (await tables.spends.of(id.study)).find(
      (row) => row.silo === silo && row.round === round,
    );
    if (known && equalBytes(known.statement, bytes.statement)) return;
    await tables.spends.put({ study: id.study, silo, round, ...bytes, atMs: clock.nowMs() });
    const { statement, signature } = bytes;
    await record({
      type: 'privacy.spent',
      actor: { kind: 'silo', id: silo },
      outcome: 'ok',
      ...id,
      data: { silo, statement: toBase64(statement), signature: toBase64(signature) },
    });
  });
}

function verifySpend(
  charter: Charter,
  expected: Pick<SpendStatement, 'silo' | 'round' | 'kind'>,
  { statement: bytes, signature }: SpendBytes,
): void {
  const statement = readSpend(bytes);
  checkSpend(statement, charter, expected);
  const key = rosterEntries(charter).find(({ silo }) => silo === expected.silo)?.identityKey;
  const document = { ...statement, mechanism: { ...statement.mechanism } };
  if (!key || !verifyStatement(key, SPEND_DOMAIN, document, signature)) {
    throw new MedleyError('PRIVACY_STATEMENT_INVALID', `signature of ${expected.silo}`);
  }
}
