import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { canonicalBytes, sha256, utf8 } from '@medley/kit';
import { signStatement } from '@medley/pki';
import type { AdminMethods, Client } from '@medley/rpc';
import { decisionStatement, readCharter, type Decision } from '@medley/study';
import { codeOf, freshIdentity, TestConsortium, type EnrolledSilo } from '../support/aggregator.ts';

const STUDY = 'recurrence-5y';
const as =
  (name: string, more: [string, string][] = []) =>
  (yaml: string): string =>
    more.reduce(
      (text, [from, to]) => text.replace(from, to),
      yaml.replace(`name: ${STUDY}`, `name: ${name}`),
    );

let consortium: TestConsortium;
let admin: Client<AdminMethods>;
let silos: EnrolledSilo[];
beforeAll(async () => {
  consortium = await TestConsortium.create();
  admin = consortium.admin();
  silos = [];
  for (const name of ['alder', 'birch', 'cedar']) silos.push(await consortium.enrol(admin, name));
});
afterAll(async () => {
  admin.close();
  await consortium.remove();
});

async function decisionOf(
  study: string,
  silo: EnrolledSilo,
  decision: Decision['decision'],
  signer = silo.identity,
) {
  const client = consortium.rounds(silo.tls);
  const charter = readCharter((await client.getStudy({ study })).charter);
  client.close();
  const statement = decisionStatement({
    charter,
    decision,
    silo: silo.name,
    steward: 'Steward',
    atMs: Date.now(),
    ...(decision === 'refuse' && { reason: 'not our patients' }),
  });
  const { signature } = signStatement(signer, 'charter', { ...statement });
  return { silo: silo.name, statement: canonicalBytes(statement), signature };
}

describe('a study before its rounds', () => {
  test('starts only when every silo has signed', async () => {
    await consortium.propose(admin, as('start-me'));
    await consortium.sign(silos[0]!, 'start-me');
    await consortium.sign(silos[1]!, 'start-me');
    expect((await admin.getStudyStatus({ study: 'start-me' })).waitingFor).toBe(
      'signatures of cedar',
    );
    expect(await codeOf(admin.startStudy({ study: 'start-me' }))).toBe('STUDY_UNSIGNED');
    expect(await consortium.sign(silos[2]!, 'start-me')).toEqual({ signed: 3, rosterSize: 3 });
    await admin.startStudy({ study: 'start-me' });
    await admin.startStudy({ study: 'start-me' });
    const { summary, waitingFor } = await admin.getStudyStatus({ study: 'start-me' });
    expect(summary?.state).toBe('active');
    expect(waitingFor).toBe('alder, birch, cedar to connect');
    const refusal = await decisionOf('start-me', silos[0]!, 'refuse');
    const client = consortium.rounds(silos[0]!.tls);
    expect(await codeOf(client.refuseCharter({ study: 'start-me', refusal }))).toBe('STUDY_STATE');
    client.close();
  });

  test('takes only decisions of the silo itself, by its enrolled key, over this charter', async () => {
    await consortium.propose(admin, as('decide-me'));
    await consortium.propose(admin, as('other-study'));
    const [alder, birch] = [silos[0]!, silos[1]!];
    const client = consortium.rounds(alder.tls);
    const sign = (signature: Awaited<ReturnType<typeof decisionOf>>): Promise<string> =>
      codeOf(client.signCharter({ study: 'decide-me', signature }));
    expect(await sign(await decisionOf('decide-me', alder, 'approve', freshIdentity()))).toBe(
      'STUDY_DECISION_INVALID',
    );
    expect(await sign(await decisionOf('decide-me', birch, 'approve'))).toBe(
      'STUDY_DECISION_INVALID',
    );
    expect(await sign(await decisionOf('decide-me', alder, 'refuse'))).toBe(
      'STUDY_DECISION_INVALID',
    );
    expect(await sign(await decisionOf('other-study', alder, 'approve'))).toBe('DECISION_INVALID');
    const good = await decisionOf('decide-me', alder, 'approve');
    expect(await sign({ ...good, statement: utf8('{}') })).toBe('DECISION_INVALID');
    expect(await sign({ ...good, signature: new Uint8Array(3) })).toBe('STUDY_DECISION_INVALID');
    expect(await sign(good)).toBe('none');
    const before = await consortium.store.tables.log.count();
    expect(await sign(good)).toBe('none');
    expect(await consortium.store.tables.log.count()).toBe(before);
    client.close();
  });

  test('does not start while a silo refuses, and does when it has thought better of it', async () => {
    await consortium.propose(admin, as('refuse-me'));
    for (const silo of silos.slice(1)) await consortium.sign(silo, 'refuse-me');
    const client = consortium.rounds(silos[0]!.tls);
    await client.refuseCharter({
      study: 'refuse-me',
      refusal: await decisionOf('refuse-me', silos[0]!, 'refuse'),
    });
    const { studies } = await client.listStudies({});
    expect(studies.find(({ study }) => study === 'refuse-me')).toMatchObject({
      myDecision: 'refused',
      signed: 2,
    });
    expect((await admin.getStudyStatus({ study: 'refuse-me' })).waitingFor).toBe(
      'refused by alder',
    );
    expect(await codeOf(admin.startStudy({ study: 'refuse-me' }))).toBe('STUDY_UNSIGNED');
    await consortium.sign(silos[0]!, 'refuse-me');
    await admin.startStudy({ study: 'refuse-me' });
    client.close();
  });

  test('is one study for the same files, and a conflict for others under its name', async () => {
    const first = await consortium.propose(admin, as('twice'));
    expect(await consortium.propose(admin, as('twice'))).toEqual(first);
    expect(await codeOf(consortium.propose(admin, as('twice', [['0.05', '0.01']])))).toBe(
      'STUDY_EXISTS',
    );
  });

  test('is refused when its file, its model, its roster or its floors are not sound', async () => {
    expect(await codeOf(consortium.propose(admin, as('bad', [['loss: bce', 'loss: xyz']])))).toBe(
      'STUDY_FILE_INVALID',
    );
    expect(
      await codeOf(consortium.propose(admin, as('bad', [['output: logit', 'output: nothing']]))),
    ).toBe('MODEL_VALUE_UNKNOWN');
    expect(
      await codeOf(
        consortium.propose(
          admin,
          as('bad', [['{ bits: 22, weightCap', '{ threshold: 1, bits: 22, weightCap']]),
        ),
      ),
    ).toMatch(/CHARTER_FLOOR_TOO_WEAK|STUDY_FILE_INVALID/);
    const model = utf8('not onnx');
    const head = {
      studyFile: utf8('x'),
      model: { sha256: sha256(model), sizeBytes: '8' },
      silos: [],
    };
    const send = (data: Uint8Array, offset = '0') =>
      codeOf(admin.proposeStudy([{ head }, { model: { offset, data } }]));
    expect(await send(model)).toBe('STUDY_FILE_INVALID');
    expect(await send(utf8('not 0nnx'))).toBe('BLOB_MISMATCH');
    expect(await send(model, '4')).toBe('RPC_CHUNK_ORDER');
    expect(await codeOf(admin.proposeStudy([]))).toBe('RPC_MESSAGE_INVALID');
  });

  test('is not to be seen by a silo outside its roster', async () => {
    await consortium.propose(admin, as('closed-circle'));
    const late = await consortium.enrol(admin, 'late');
    const client = consortium.rounds(late.tls);
    expect((await client.listStudies({})).studies).toEqual([]);
    expect(await codeOf(client.getStudy({ study: 'closed-circle' }))).toBe('ROUND_OUTSIDER');
    expect(await codeOf(client.getStudy({ study: 'nothing' }))).toBe('STUDY_UNKNOWN');
    client.close();
  });
});
