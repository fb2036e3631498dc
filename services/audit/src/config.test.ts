import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readAuditConfig } from './config.ts';

async function written(text: string): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'medley-audit-')), 'audit.yaml');
  await writeFile(file, text);
  return file;
}

test('fills in defaults and takes paths from the file that names them', async () => {
  const file = await written('apiVersion: medley/v1\nkind: Audit\ndatabase: ../medley.db\n');
  const config = await readAuditConfig(file);
  expect(config).toMatchObject({ listen: '127.0.0.1:7445', publicHost: '127.0.0.1' });
  expect(config.database).toBe(join(file, '..', '..', 'medley.db'));
  expect(config.tls.key).toBe(join(file, '..', 'tls.key.pem'));
});

test('refuses unknown keys with their line', async () => {
  const file = await written('apiVersion: medley/v1\nkind: Audit\ndatabase: a\nlisten_: b\n');
  await expect(readAuditConfig(file)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('audit.yaml:4: unknown key "listen_", did you mean "listen"?'),
  });
});
