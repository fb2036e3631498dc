import { beforeEach, describe, expect, test } from '@jest/globals';
import { canonicalBytes, isMedleyError, ManualClock, utf8 } from '@medley/kit';
import { createIdentity, openIdentity, signStatement } from '@medley/pki';
import {
  draftCharter,
  DEFAULT_FLOORS,
  EXAMPLE_STUDY,
  readStudy,
  SPEND_DOMAIN,
  spendStatement,
  type SpendBytes,
  type SpendStatement,
} from '@medley/study';
import type { Ledger } from '../log/ledger.ts';
import { memoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import type { RoundBook } from './book.ts';
import { takeSpend } from './spends.ts';

const bytes = utf8(
  `${EXAMPLE_STUDY.replace('localEpochs: 2', 'localSteps: 5')}privacy: { level: record, epsilon: 4, delta: 1e-5, clipNorm: 1, samplingRate: 0.1 }\n`,
);
const study = readStudy(bytes, 'study.yaml');
const identities = [1, 2, 3].map(() => openIdentity(createIdentity().privateKeyPem));
const charter = draftCharter({
  consortium: 'c',
  study,
  studyBytes: bytes,
  modelBytes: utf8('model'),
  modelParameters: 9,
  roster: identities.map(({ publicKey }, i) => ({ silo: `silo-${i}`, identityKey: publicKey })),
  log: { origin: 'o', verifierKey: 'k' },
  nowMs: 0,
  floors: DEFAULT_FLOORS,
});
const id = { study: study.name, round: 2, attempt: 1 };

let store: Store;
let leaves: { readonly type: string }[];
beforeEach(() => {
  store = memoryStore();
  leaves = [];
});

/** Takes a statement for an open training round of the charter. */
async function take(
  spend: SpendBytes | undefined,
  { silo = 'silo-1', terms = charter, attempt = 1 } = {},
): Promise<string> {
  const open = { agreement: { charter: terms }, state: { kind: 'training' } };
  const book = { find: () => open } as unknown as RoundBook;
  const change = async (work: (change: unknown) => Promise<unknown>): Promise<unknown> =>
    work({
      tables: store.tables,
      record: async (event: { readonly type: string }) => leaves.push(event),
      onCommit: () => undefined,
    });
  const ledger = { change } as unknown as Ledger;
  try {
    const parts = { ledger, clock: new ManualClock(7) };
    await takeSpend(parts, book, { ...id, attempt }, silo, spend);
    return 'ok';
  } catch (caught) {
    if (isMedleyError(caught)) return caught.code;
    throw caught;
  }
}

function signed(change: Partial<SpendStatement> = {}, by = 1): SpendBytes {
  const draft = { charter, silo: 'silo-1', round: 2, kind: 'training', epsilon: 1 } as const;
  const statement = { ...spendStatement({ ...draft, entry: 'ab'.repeat(32) }), ...change };
  const document = { ...statement, mechanism: { ...statement.mechanism } };
  return {
    statement: canonicalBytes(statement),
    ...signStatement(identities[by]!, SPEND_DOMAIN, document),
  };
}

describe('a statement of what a round cost', () => {
  test('is kept and recorded once, also when another attempt brings it again', async () => {
    const spend = signed();
    expect(await take(spend)).toBe('ok');
    expect(await take(spend, { attempt: 2 })).toBe('ok');
    expect(await store.tables.spends.of(study.name)).toEqual([
      { study: study.name, silo: 'silo-1', round: 2, ...spend, atMs: 7 },
    ]);
    expect(leaves).toHaveLength(1);
    expect(leaves[0]).toMatchObject({ type: 'privacy.spent', data: { silo: 'silo-1' } });
  });

  test.each<[string, () => SpendBytes | undefined]>([
    ['none', () => undefined],
    ['one of another silo’s key', () => signed({}, 2)],
    ['one of another silo', () => signed({ silo: 'silo-2' })],
    ['one of another round', () => signed({ round: 3 })],
    ['one of less noise', () => signed({ mechanism: { kind: 'sampledGaussian', parameters: { noiseMultiplier: 0.1 } } })],
    ['one above the limit', () => signed({ epsilon: 4.5 })],
    ['one that was changed', () => ({ ...signed(), statement: signed({ epsilon: 0.5 }).statement })],
    ['bytes that are none', () => ({ ...signed(), statement: utf8('{}') })],
  ])('is demanded: with %s the vector is refused and nothing is recorded', async (_, spend) => {
    expect(await take(spend())).toBe('PRIVACY_STATEMENT_INVALID');
    expect(leaves).toEqual([]);
  }); // prettier-ignore

  test('is not asked for in a study without privacy', async () => {
    const plain = { ...charter };
    delete (plain as { privacy?: unknown }).privacy;
    expect(await take(undefined, { terms: plain })).toBe('ok');
    expect(leaves).toEqual([]);
  });
});
