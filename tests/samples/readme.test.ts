import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { errorsMarkdown } from '@medley/kit';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'proto/README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(root, page), 'utf8');

  test('links only to files that exist', () => {
    const prose = text.replaceAll(/```[^`]*```/g, '').replaceAll(/`[^`\n]*`/g, '');
    const links = [...prose.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)].map((match) => match[1] ?? '');
    const broken = links
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => !existsSync(resolve(root, dirname(page), link)));
    expect(broken).toEqual([]);
  });

  test('names only npm commands that package.json has', () => {
    const named = [...text.matchAll(/npm run ([a-z][a-z:]*)/g)].map((match) => match[1] ?? '');
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });
});

test('the README opens with the two commands, and both prepare a bare clone first', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const commands = [...readme.matchAll(/```sh\n([^`]*)```/g)].map((match) => match[1]?.trim());
  expect(commands.slice(0, 2)).toEqual(['npm run demo', 'npm test']);
  expect(scripts['predemo']).toBe('node scripts/setup.mjs');
  expect(scripts['pretest']).toBe('node scripts/setup.mjs');
});

test('the README maps every workspace', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, unknown>;
  };
  const workspaces = Object.keys(lock.packages).filter(
    (path) => path !== '' && !path.includes('node_modules'),
  );
  expect(workspaces.length).toBeGreaterThan(10);
  for (const workspace of workspaces) expect(readme).toContain(`](${workspace})`);
});

test('the lock file names no download address', () => {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  expect(lock).not.toMatch(/"resolved": "https?:/);
});

test('docs/errors.md says what the catalogue says (npm run docs)', () => {
  expect(readFileSync(join(root, 'docs/errors.md'), 'utf8')).toBe(errorsMarkdown());
});
