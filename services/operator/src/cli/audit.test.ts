import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  runMedley,
  startTestConsortium,
  type TestConsortium,
} from '../../../../tests/support/operator.ts';
import { logKeyFromSeed, formatVerifierKey, verifierKeyOf } from '@medley/merkle';
import { sealed, VERIFIER_KEY, wholeStudy } from '../../../../tests/support/trail.ts';

let consortium: TestConsortium;
beforeAll(async () => {
  consortium = await startTestConsortium();
  await writeFile(join(consortium.folder, 'log.vkey'), `${VERIFIER_KEY}\n`);
});
afterAll(() => consortium.close());

const entries = sealed(wholeStudy()).entries.length;

describe('audit verify', () => {
  test('derives the served log anew', async () => {
    const { code, out } = await consortium.run(['audit', 'verify']);
    expect(code).toBe(0);
    expect(out).toMatch(/^ +CLAIM +CHECKED +WHAT\nPASS +checkpoints/);
    expect(out).not.toContain('FAIL');
  });

  test('gives claims as JSON', async () => {
    const { code, out } = await consortium.run(['audit', 'verify', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      verified: true,
      entries,
      checkpoints: 1,
      claims: expect.arrayContaining([
        { name: 'roots', ok: true, checked: expect.any(Number), detail: expect.any(String) },
      ]),
    });
  });

  test('keeps a log that needs neither home nor network to be checked again', async () => {
    expect((await consortium.run(['audit', 'verify', '--out', 'kept'])).code).toBe(0);
    const args = ['audit', 'verify', '--from', 'kept', '--log-key', 'log.vkey', '--json'];
    const { code, out } = await runMedley(args, { cwd: consortium.folder });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ verified: true, entries });
  });

  test('fails with 8 on another key, with one document on standard output', async () => {
    const other = verifierKeyOf('log', logKeyFromSeed('medley/x', new Uint8Array(32)));
    await writeFile(join(consortium.folder, 'other.vkey'), formatVerifierKey(other));
    const args = ['audit', 'verify', '--log-key', 'other.vkey', '--json'];
    const { code, out, err } = await consortium.run(args);
    expect(code).toBe(8);
    expect(JSON.parse(out)).toMatchObject({ verified: false });
    expect(err).toContain('AUDIT_FAILED');
  });

  test('shows which claims fail', async () => {
    await consortium.run(['audit', 'verify', '--out', 'harmed']);
    const bundle = join(consortium.folder, 'harmed', 'tile', 'entries', `000.p`, String(entries));
    const text = await readFile(bundle, 'latin1');
    await writeFile(bundle, text.replace('"outcome":"ok"', '"outcome":"no"'), 'latin1');
    const { code, out, err } = await consortium.run(['audit', 'verify', '--from', 'harmed']);
    expect(code).toBe(8);
    expect(out).toMatch(/FAIL +roots/);
    expect(err).toMatch(/failed: .*roots/);
  });

  test.each([
    ['a folder that is none', ['--from', 'nowhere'], 'FILE_UNREADABLE', 6],
    ['a key that is none', ['--log-key', 'ca.pass'], 'MERKLE_KEY_INVALID', undefined],
  ])('refuses %s', async (_, more, name, code) => {
    const ended = await consortium.run(['audit', 'verify', ...more]);
    expect(ended.err).toContain(name);
    expect(ended.code).toBe(code ?? ended.code);
    expect(ended.code).not.toBe(0);
  });

  test('fails when entries are missing behind a checkpoint', async () => {
    const kept = join(consortium.folder, 'short');
    await consortium.run(['audit', 'verify', '--out', 'short']);
    await rm(join(kept, 'tile', 'entries'), { recursive: true });
    const { code } = await consortium.run(['audit', 'verify', '--from', 'short']);
    expect(code).not.toBe(0);
  });
});
