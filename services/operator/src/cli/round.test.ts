import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startTestConsortium, type TestConsortium } from '../../../../tests/support/operator.ts';

let consortium: TestConsortium;
beforeAll(async () => {
  consortium = await startTestConsortium();
});
afterAll(() => consortium.close());

test('round replay says what came out again, and where the log has it', async () => {
  const { code, out } = await consortium.run(['round', 'replay', 'recurrence-5y', '7']);
  expect(code).toBe(0);
  const hash = '07'.repeat(32);
  expect(out.split('\n')).toEqual([
    'round 7, attempt 2 of recurrence-5y: the same bytes again from 4 masked vectors',
    `sum        ${hash}`,
    `next model ${hash}`,
    `receipt    ${hash}, leaf 31 of the audit trail`,
    '',
  ]);
  const json = await consortium.run(['round', 'replay', 'recurrence-5y', '7', '--json']);
  expect(JSON.parse(json.out)).toEqual({
    ...{ study: 'recurrence-5y', round: 7, attempt: 2, survivors: 4, leafIndex: 31 },
    ...{ aggregateHash: hash, nextModelHash: hash, receiptHash: hash },
  });
});

test('round replay takes a number, and nothing else', async () => {
  expect((await consortium.run(['round', 'replay', 'recurrence-5y', 'last'])).code).toBe(2);
});
