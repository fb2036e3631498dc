import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ensureKeys, openKeys } from './keystore.ts';

let folder: string;

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'medley-keys-')), 'keys');
});

afterEach(() => rm(join(folder, '..'), { recursive: true }));

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

describe('keystore', () => {
  test('makes keys that only this user can read, once', async () => {
    const first = await ensureKeys(folder);
    expect(await modeOf(folder)).toBe('700');
    expect(await modeOf(join(folder, 'tls.key.pem'))).toBe('600');
    expect(await modeOf(join(folder, 'identity.key.pem'))).toBe('600');
    const second = await ensureKeys(folder);
    expect(second.tlsKeyPem).toBe(first.tlsKeyPem);
    expect(second.identity.publicKey).toEqual(first.identity.publicKey);
  });

  test.each(['tls.key.pem', 'identity.key.pem'])(
    'refuses %s when others can read it',
    async (name) => {
      await ensureKeys(folder);
      await chmod(join(folder, name), 0o640);
      await expect(openKeys(folder)).rejects.toMatchObject({
        code: 'AGENT_KEY_EXPOSED',
        message: expect.stringContaining('640'),
      });
    },
  );

  test('says that there are no keys before the enrolment', async () => {
    await expect(openKeys(folder)).rejects.toMatchObject({ code: 'AGENT_NOT_ENROLLED' });
  });
});
