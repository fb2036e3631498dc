import { afterEach, expect, test } from '@jest/globals';
import { utf8, type Json } from '@medley/kit';
import { verifyStatement } from '@medley/pki';
import { spent } from '@medley/privacy';
import { checkSpend, EXAMPLE_STUDY, plannedCost, readSpend, SPEND_DOMAIN } from '@medley/study';
import { Federation } from '../../../tests/support/hospitals.ts';
import { honestWork } from '../../../tests/support/localWork.ts';
import type { LocalWork } from '../training/work.ts';

const PRIVATE = utf8(
  EXAMPLE_STUDY.replace('count: 30', 'count: 2')
    .replace('scoreBins: 50', 'scoreBins: 10')
    .replace('localEpochs: 2', 'localSteps: 5')
    .concat(
      'privacy: { level: record, epsilon: 4, delta: 1e-5, clipNorm: 1, samplingRate: 0.1 }\n',
    ),
);

let open: Federation | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

async function federation(epsilon = 10, n = 3): Promise<Federation> {
  const privacy = { dataset: 'patients', epsilon, delta: 1e-6 };
  open = await Federation.open(n, { studyBytes: PRIVATE, privacy });
  return open;
}

/** Local work that says how often it was done and what the ledger held then. */
function watched(fed: Federation, index: number, fails = 0) {
  const entries: number[] = [];
  const work: LocalWork = {
    ...honestWork(index),
    perform: async (task) => {
      entries.push((await fed.member(index).parts.ledger.entries()).length);
      if (entries.length <= fails) throw new Error('the machine goes down');
      return honestWork(index).perform(task);
    },
  };
  return { work, entries };
}

test('every hospital pays for every round before its work, up to what was planned', async () => {
  const fed = await federation();
  const { work, entries } = watched(fed, 2);
  await fed.restart(2, { work });
  for (const round of [0, 1, 2, 3]) await fed.runRound(round);
  expect(entries).toEqual([1, 2, 3, 4]);
  const cost = plannedCost(fed.charter)!;
  for (const { parts } of fed.members) {
    const ledger = await parts.ledger.entries();
    expect(ledger.map(({ round }) => round)).toEqual([0, 1, 2, 3]);
    expect(ledger.map(({ mechanism }) => mechanism.kind)).toEqual([
      ...['discreteGaussian', 'sampledGaussian', 'sampledGaussian', 'discreteGaussian'],
    ]);
    expect(spent(ledger, 1e-5).epsilon).toBeCloseTo(cost.epsilon, 9);
  }
});

test('each vector comes with a statement that the hospital signed and that grows to the cost', async () => {
  const fed = await federation();
  for (const round of [0, 1, 2, 3]) await fed.runRound(round);
  expect(fed.spends).toHaveLength(12);
  const kinds = ['statistics', 'training', 'training', 'evaluation'] as const;
  for (const { silo: index, round, statement, signature } of fed.spends) {
    const { silo, identity } = fed.member(index);
    const read = readSpend(statement);
    checkSpend(read, fed.charter, { silo, round, kind: kinds[round]! });
    expect(
      verifyStatement(
        identity.publicKey,
        SPEND_DOMAIN,
        JSON.parse(Buffer.from(statement).toString()) as Json,
        signature,
      ),
    ).toBe(true);
  }
  const own = fed.spends
    .filter(({ silo }) => silo === 1)
    .map((one) => readSpend(one.statement).epsilon);
  expect([...own].sort((a, b) => a - b)).toEqual(own);
  expect(own.at(-1)).toBeCloseTo(plannedCost(fed.charter)!.epsilon, 9);
});

test('at the limit of the site nothing leaves any more, whatever the aggregator asks', async () => {
  const fed = await federation();
  const limited = await Federation.open(3, {
    studyBytes: PRIVATE,
    privacy: { dataset: 'patients', epsilon: 1.5, delta: 1e-6 },
  });
  try {
    await limited.runRound(0);
    limited.begin(1);
    await limited.runSteps(undefined, 'mask').catch(() => undefined);
    for (const { withdrawn } of limited.members)
      expect(withdrawn).toEqual(['PRIVACY_BUDGET_EXCEEDED']);
    const masked = limited.sent.filter(({ step }) => step === 'mask');
    expect(masked).toHaveLength(3);
    for (const { parts } of limited.members) expect(await parts.ledger.entries()).toHaveLength(1);
  } finally {
    await limited.close();
  }
  // The same rounds fit a site with the usual limit.
  await fed.runRound(0);
  await fed.runRound(1);
  expect(fed.member(1).withdrawn).toEqual([]);
});

test('another attempt at a round sends the same numbers, and they are paid for once', async () => {
  const fed = await federation(10, 5);
  const { work, entries } = watched(fed, 1);
  await fed.restart(1, { work });
  fed.begin(0, 1);
  await fed.runSteps(undefined, 'mask');
  await fed.announce(
    fed.taskWith({ name: 'aborted', reasonCode: 'SECAGG_TOO_FEW', retried: true }),
  );
  fed.begin(0, 2);
  await fed.runSteps();
  await fed.announce(fed.finish());
  expect(entries).toEqual([1]);
  expect(await fed.member(1).parts.ledger.entries()).toHaveLength(1);
  const statements = fed.spends.filter(({ silo }) => silo === 1);
  expect(statements).toHaveLength(2);
  expect(statements[1]).toEqual(statements[0]);
});

test('killed between debit and release: paid once, and the round goes on', async () => {
  const fed = await federation(10, 5);
  const { work, entries } = watched(fed, 1, 1);
  const { messages } = fed.member(1).parts;
  // Down before it could withdraw, as a power cut is.
  await fed.restart(1, { work, messages: { ...messages, withdraw: async () => undefined } });
  fed.begin(0, 1);
  await fed.runSteps(undefined, 'mask');
  expect(await fed.member(1).parts.ledger.entries()).toHaveLength(1);
  fed.begin(0, 2);
  await fed.restart(1);
  await fed.runSteps();
  await fed.announce(fed.finish());
  // The first work ended with the machine; the second found the round paid.
  expect(entries).toEqual([1, 1]);
  expect(await fed.member(1).parts.ledger.entries()).toHaveLength(1);
});
