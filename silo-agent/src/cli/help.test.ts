import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EXIT } from '@medley/kit';
import { callAgent } from '../../../tests/support/commandLine.ts';
import { readConfig } from '../config.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-cli-'));
});

afterAll(() => rm(folder, { recursive: true }));

describe('help', () => {
  test('the program teaches the way from nothing to taking part, and its exit codes', async () => {
    const { exit, out } = await callAgent(['--help']);
    expect(exit).toBe(EXIT.ok);
    for (const word of ['init', 'enroll', 'study sign', 'run', 'Exit codes', '130', 'NO_COLOR']) {
      expect(out).toContain(word);
    }
  });

  test.each([
    ['init'],
    ['enroll'],
    ['data check'],
    ['study show'],
    ['study sign'],
    ['study refuse'],
    ['study withdraw'],
    ['study baseline'],
    ['run'],
    ['status'],
    ['budget'],
  ])('%s has an example, --home and --json', async (words) => {
    const { exit, out } = await callAgent([...words.split(' '), '--help']);
    expect(exit).toBe(EXIT.ok);
    expect(out).toContain(`\n  medley-agent ${words}`);
    expect(out).toContain('--home <folder>');
    expect(out).toContain('--json');
  });

  test('a wrong word is answered with the right one and exit code 2', async () => {
    const { exit, err } = await callAgent(['studdy']);
    expect(exit).toBe(EXIT.usage);
    expect(err).toContain('study');
  });
});

describe('init', () => {
  test('writes a private agent.yaml that can be read back, once', async () => {
    const home = join(folder, 'agent');
    const args = ['init', '--site', 'charite', '--name', 'Charité "Mitte": Berlin', '--home', home];
    const made = await callAgent([...args, '--json']);
    expect(JSON.parse(made.out)).toMatchObject({ home, site: 'charite' });
    const file = join(home, 'agent.yaml');
    expect(await readConfig(file)).toMatchObject({
      site: { id: 'charite', name: 'Charité "Mitte": Berlin' },
      policy: { minSilos: 3, minSurvivors: 3 },
      connectors: [],
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await callAgent(args);
    expect(again.exit).toBe(EXIT.usage);
    expect(again.err).toContain('AGENT_HOME_EXISTS');
  });

  test('an id that is no name is refused', async () => {
    const { exit, err } = await callAgent([
      'init',
      '--site',
      'Charité',
      '--name',
      'x',
      '--home',
      folder,
    ]);
    expect(exit).not.toBe(0);
    expect(err).toContain('PKI_NAME_INVALID');
  });
});

describe('before the enrolment', () => {
  const calls = [
    ['data', 'check'],
    ['study', 'list'],
    ['study', 'sign', 's', '--as', 'x'],
    ['run'],
    ['enroll'],
  ];

  test.each(calls.map((args) => [args]))('%j names the folder that is missing', async (args) => {
    const { exit, err } = await callAgent([...args, '--home', join(folder, 'nowhere')]);
    expect(exit).toBe(EXIT.config);
    expect(err).toMatch(/AGENT_HOME_MISSING[\s\S]*nowhere[\s\S]*Fix:.*init/);
  });

  test('a fresh folder says what comes next', async () => {
    const home = join(folder, 'fresh');
    await callAgent(['init', '--site', 'north', '--name', 'North', '--home', home]);
    const code = async (...args: string[]) => {
      const { exit, out } = await callAgent([...args, '--json', '--home', home]);
      const { error } = JSON.parse(out) as { error: { code: string } };
      return [error.code, exit];
    };
    expect(await code('data', 'check')).toEqual(['AGENT_NO_DATA', EXIT.config]);
    expect(await code('study', 'list')).toEqual(['AGENT_NOT_ENROLLED', EXIT.identity]);
    expect(await code('run')).toEqual(['AGENT_NOT_ENROLLED', EXIT.identity]);
    expect(await code('enroll', 'join_v1.nonsense')).toEqual([
      'PKI_INVITATION_INVALID',
      expect.any(Number),
    ]);
    expect(await code('run', '--log', 'loud')).toEqual(['USAGE', EXIT.usage]);
    const status = await callAgent(['status', '--json', '--home', home]);
    expect(JSON.parse(status.out)).toMatchObject({ enrolment: { state: 'none' }, studies: [] });
  });
});
