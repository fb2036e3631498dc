import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startExportable, STUDY, verify, type Exportable } from '../support/exported.ts';

const GUIDE = fileURLToPath(new URL('../../docs/audit/README.md', import.meta.url));

let consortium: Exportable;
let bundle: string;
beforeAll(async () => {
  consortium = await startExportable();
  bundle = join(consortium.folder, 'bundle');
  await consortium.medley('audit', 'export', '--out', 'bundle', '--wait', '0');
});
afterAll(() => consortium.close());

/** The lines of the guide's last example, ready for this bundle. */
const commands = readFileSync(GUIDE, 'utf8')
  .split('## With sha256sum and openssl alone')[1]!
  .split('```')[1]!
  .split('\n')
  .slice(1)
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.replaceAll('STUDY', STUDY).replaceAll('SILO', 'birch'));
const tools = ['jq', 'openssl', 'sha256sum', 'od'];
const missing = tools.filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
const shell = (line: string): string =>
  execFileSync('sh', ['-c', line.replaceAll('/tmp/', `${consortium.folder}/`)], {
    cwd: bundle,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

describe('docs/audit/README.md', () => {
  const whole = missing.length === 0 ? test : test.skip;
  whole(`checks a bundle with ${tools.join(', ')} alone`, () => {
    const outputs = commands.map(shell);
    expect(outputs.slice(0, -2).join('')).toMatch(
      /^Verified OK\nkeys\/operator\.pem: OK\n(Signature Verified Successfully\n){2}$/,
    );
    const [entry, leaf] = outputs.slice(-2);
    expect(entry!.slice(0, 64)).toBe(leaf!.trim());
  });

  test('names every claim that verify.mjs makes, and no other', async () => {
    const { out } = await verify(bundle);
    const { claims } = JSON.parse(out) as { claims: { name: string }[] };
    const table = [...readFileSync(GUIDE, 'utf8').matchAll(/^\| `([a-z]+)` \|/gm)];
    expect(table.map(([, name]) => name)).toEqual(claims.map(({ name }) => name));
  });
});
