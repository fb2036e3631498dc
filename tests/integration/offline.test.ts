import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock, systemRng, writeDurably } from '@medley/kit';
import { createInvitation, encryptPrivateKey } from '@medley/pki';
import { stringify } from 'yaml';
import { withConnection } from '../../silo-agent/src/connection.ts';
import { configTemplate } from '../../silo-agent/src/config.ts';
import { acceptAnswer, requestByFile } from '../../silo-agent/src/enrolment/offline.ts';
import { openHome, type AgentHome } from '../../silo-agent/src/home.ts';
import { ensureKeys, type Keys } from '../../silo-agent/src/keystore.ts';
import { codeOf, TestConsortium } from '../support/aggregator.ts';
import { runMedley } from '../support/operator.ts';

let consortium: TestConsortium;
let folder: string;
let home: AgentHome;
let keys: Keys;

beforeAll(async () => {
  consortium = await TestConsortium.create();
  folder = await mkdtemp(join(tmpdir(), 'medley-offline-'));
  await writeDurably(join(folder, 'agent', 'agent.yaml'), configTemplate('alder', 'Alder'));
  home = await openHome(join(folder, 'agent'));
  keys = await ensureKeys(home.paths.keys);
  const { authority, caPem } = consortium.authority;
  const own = consortium.authority.issue('operator', 'ada');
  const { enrolmentAddress: enrolment, roundsAddress: rounds } = consortium.aggregator;
  const config = {
    apiVersion: 'medley/v1',
    kind: 'Operator',
    consortium: 'test',
    operator: 'ada',
    aggregator: { enrolment, rounds },
    audit: { address: rounds },
  };
  const key = authority.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const files = {
    'operator.yaml': stringify(config),
    'ca.pem': caPem,
    'ca.key.pem': encryptPrivateKey(key, 'correct horse battery'),
    'operator.pem': own.certPem,
    'operator.key.pem': own.keyPem,
    'log.vkey': 'x',
  };
  for (const [name, text] of Object.entries(files)) {
    await writeDurably(join(folder, 'operator', name), text);
  }
  await writeDurably(join(folder, 'ca.pass'), 'correct horse battery\n');
});
afterAll(async () => {
  await consortium.remove();
  await rm(folder, { recursive: true });
});

const medley = (...args: string[]) =>
  runMedley([...args, '--home', 'operator', '--passphrase-file', 'ca.pass'], {
    cwd: folder,
  });
const plain = (...args: string[]) => runMedley([...args, '--home', 'operator'], { cwd: folder });

test('a hospital enrols by two files, and nothing in them opens anything by itself', async () => {
  const admin = consortium.admin();
  const { token, id, secretHash, expiresAtMs } = createInvitation({
    rng: systemRng,
    nowMs: Date.now(),
    ttlMs: 60_000,
    endpoints: {
      enrolment: consortium.aggregator.enrolmentAddress,
      rounds: consortium.aggregator.roundsAddress,
    },
    consortium: 'test',
    silo: 'alder',
    caPin: consortium.authority.caPin,
  });
  await admin.invite({
    silo: 'alder',
    invitationId: id,
    secretHash: Buffer.from(secretHash, 'hex'),
    expiresMs: String(expiresAtMs),
  });
  admin.close();
  const file = join(folder, 'request.json');
  const { fingerprint } = await requestByFile({ home, keys, token, file, clock: systemClock });
  const text = await readFile(file, 'utf8');
  await writeFile(join(folder, 'forged.json'), text.replace('"alder"', '"birch"'));
  expect((await plain('silo', 'import', 'forged.json')).err).toContain('OPERATOR_REQUEST_FORGED');
  expect((await plain('silo', 'import', 'request.json')).out).toContain('alder waits');
  expect((await plain('silo', 'answer', 'alder', '--out', 'a.json')).err).toContain(
    'ENROLMENT_UNKNOWN',
  );
  const approved = await medley('silo', 'approve', 'alder', '--fingerprint', fingerprint);
  expect(approved.out).toContain('alder is enrolled');
  expect((await plain('silo', 'answer', 'alder', '--out', 'answer.json')).code).toBe(0);
  const answer = await readFile(join(folder, 'answer.json'), 'utf8');
  const accept = (name: string): Promise<unknown> =>
    acceptAnswer({ home, keys, file: join(folder, name), clock: systemClock });
  const { authority } = consortium;
  const other = JSON.parse(answer) as { certificatePem: string; caPem: string };
  other.certificatePem = authority.issue('silo', 'alder').certPem;
  await writeFile(join(folder, 'other.json'), JSON.stringify(other));
  expect(await codeOf(accept('other.json'))).toBe('PKI_CERTIFICATE_INVALID');
  const wrong = answer.replace('enrolment-answer/v1', 'x');
  await writeFile(join(folder, 'wrong.json'), wrong);
  expect(await codeOf(accept('wrong.json'))).toBe('AGENT_STATE_INVALID');
  await accept('answer.json');
  expect(
    await codeOf(withConnection(home, systemClock, ({ client }) => client.listStudies({}))),
  ).toBe('none');
  expect(await codeOf(accept('answer.json'))).toBe('AGENT_NOT_ENROLLED');
});
