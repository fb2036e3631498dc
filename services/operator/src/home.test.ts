import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { writeDurably } from '@medley/kit';
import { aggregatorEndpoints, auditAddress, openHome, type OperatorHome } from './home.ts';

const HEAD = 'apiVersion: medley/v1\nkind: Operator\nconsortium: ours\noperator: ada\n';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-home-'));
});

async function home(
  aggregator: string,
  audit = '{ address: audit.example.org:7445 }',
): Promise<OperatorHome> {
  const files = ['ca.pem', 'operator.pem', 'operator.key.pem', 'log.vkey'];
  for (const name of files) await writeDurably(join(folder, name), `${name}\n`);
  const yaml = `${HEAD}aggregator: ${aggregator}\naudit: ${audit}\n`;
  await writeDurably(join(folder, 'operator.yaml'), yaml);
  return openHome(folder);
}

describe('openHome', () => {
  test('reads addresses that are written down', async () => {
    const read = await home('{ enrolment: a:1, rounds: a:2 }');
    expect(read.logVerifierKey).toBe('log.vkey');
    expect(await aggregatorEndpoints(read)).toEqual({ enrolment: 'a:1', rounds: 'a:2' });
    expect(await auditAddress(read)).toBe('audit.example.org:7445');
  });

  test.each([
    ['nothing', '{}'],
    ['one of two addresses', '{ rounds: a:2 }'],
    ['a file and an address', '{ endpointsFile: e.json, rounds: a:2 }'],
    ['the address of the audit service', '{ address: a:2 }'],
  ])('refuses an aggregator with %s', async (_, aggregator) => {
    await expect(home(aggregator)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('says that a folder is no home', async () => {
    await expect(openHome(folder)).rejects.toMatchObject({ code: 'OPERATOR_HOME_MISSING' });
  });
});

describe('an endpoints file', () => {
  const FILE = '{ endpointsFile: endpoints.json }';

  test('is read anew each time', async () => {
    const read = await home(FILE, FILE);
    for (const port of ['1', '2']) {
      const text = JSON.stringify({ enrolment: 'e', rounds: `r:${port}`, address: `a:${port}` });
      await writeDurably(join(folder, 'endpoints.json'), text);
      expect((await aggregatorEndpoints(read)).rounds).toBe(`r:${port}`);
      expect(await auditAddress(read)).toBe(`a:${port}`);
    }
  });

  test('that is missing means that the server was never started', async () => {
    const read = await home(FILE, FILE);
    const down = { code: 'OPERATOR_SERVER_DOWN' };
    await expect(aggregatorEndpoints(read)).rejects.toMatchObject(down);
    await expect(auditAddress(read)).rejects.toMatchObject(down);
  });

  test.each(['', '[]', 'null', '"a:1"', '{"rounds": 7}', '{"enrolment": "a:1"}'])(
    'with the content %s is refused',
    async (text) => {
      const read = await home(FILE);
      await writeDurably(join(folder, 'endpoints.json'), text);
      await expect(aggregatorEndpoints(read)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    },
  );
});
