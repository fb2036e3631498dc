import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MedleyError, type Clock } from '@medley/kit';
import {
  runMedley,
  startTestConsortium,
  type TestConsortium,
} from '../../../../tests/support/operator.ts';

let consortium: TestConsortium;
beforeAll(async () => {
  consortium = await startTestConsortium();
});
afterAll(() => consortium.close());

const COMMANDS = [
  'consortium init',
  'consortium renewals',
  'consortium certify',
  'consortium succeed',
  'consortium backup',
  'consortium restore',
  'silo invite',
  'silo list',
  'silo approve',
  'silo refuse',
  'silo revoke',
  'silo crl',
  'silo import',
  'silo answer',
  'operator list',
  'operator request',
  'operator add',
  'operator accept',
  'operator change',
  'token create',
  'token list',
  'token revoke',
  'study plan',
  'study propose',
  'study start',
  'study pause',
  'study resume',
  'study stop',
  'study status',
  'study list',
  'model export',
  'audit verify',
  'audit export',
  'audit view',
];

describe('help', () => {
  test.each(COMMANDS)('of %s shows how to call it', async (name) => {
    const { code, out, err } = await runMedley([...name.split(' '), '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const example = out.slice(out.indexOf('--help'));
    expect(example).toMatch(new RegExp(`\\n  (.*&& )?medley ${name}`));
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(104);
  });

  test('of the program tells the way and the exit codes', async () => {
    const { code, out } = await runMedley(['--help']);
    expect(code).toBe(0);
    expect(out).toContain('medley consortium init');
    expect(out).toContain('Exit codes: 0 ok');
  });

  test('lists every command', async () => {
    const groups = new Set(COMMANDS.map((name) => name.split(' ')[0]!));
    for (const group of groups) {
      const { out } = await runMedley([group, '--help']);
      const found = out.slice(out.indexOf('Commands:')).matchAll(/^ {2}([a-z]+) /gm);
      const names = [...found].map((match) => `${group} ${match[1]!}`);
      expect(names.filter((name) => name !== `${group} help`)).toEqual(
        COMMANDS.filter((name) => name.startsWith(`${group} `)),
      );
    }
  });

  test('version is the one given', async () => {
    expect(await runMedley(['--version'])).toEqual({ code: 0, out: '0.0.0-test\n', err: '' });
  });
});

describe('faults of usage end with 2 and name the fault', () => {
  test.each([
    ['nothing', [], 'Usage: medley'],
    ['a group alone', ['silo'], 'Usage: medley silo'],
    ['an unknown command', ['sillo'], 'Did you mean silo?'],
    ['an unknown option', ['silo', 'list', '--jsn'], 'Did you mean --json?'],
    ['a missing argument', ['silo', 'invite'], "missing required argument 'name'"],
    ['a missing option', ['model', 'export', 's'], "'--out <file>'"],
    ['hours in words', ['silo', 'invite', 'a', '--hours', 'many'], 'from 1 to 8760'],
    [
      'a port beyond 65535',
      ['consortium', 'init', 'a', '--audit-port', '65536'],
      'from 0 to 65535',
    ],
    ['a day and a half', ['silo', 'approve', 'a', '--fingerprint', 'b', '--days', '1.5'], '3650'],
  ])('%s', async (_, args, words) => {
    const { code, out, err } = await runMedley(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(words);
  });
});

describe('exit codes', () => {
  test.each([
    ['3 where there is no home', 3, 'OPERATOR_HOME_MISSING', ['silo', 'list', '--home', 'nowhere']],
    ['3 where the default home is missing', 3, 'OPERATOR_HOME_MISSING', ['audit', 'verify']],
    ['5 without a passphrase', 5, 'OPERATOR_PASSPHRASE_MISSING', ['consortium', 'init', 'a']],
  ])('%s', async (_, code, name, args) => {
    const ended = await runMedley(args, { cwd: consortium.folder });
    expect(ended).toMatchObject({ code, out: '' });
    expect(ended.err).toContain(name);
    expect(ended.err).toContain('Fix:');
  });

  test('with --json the error is the one document on standard output', async () => {
    const { code, out } = await runMedley(['silo', 'list', '--json'], { cwd: consortium.folder });
    expect(code).toBe(3);
    expect(JSON.parse(out)).toEqual({
      error: {
        code: 'OPERATOR_HOME_MISSING',
        sentence: expect.any(String),
        detail: expect.stringContaining('operator.yaml'),
        remedy: expect.stringContaining('medley consortium init'),
      },
    });
  });

  test('4 when the aggregator does not answer', async () => {
    await consortium.stopAggregator();
    const { code, err } = await consortium.run(['study', 'list']);
    await consortium.startAggregator();
    expect(code).toBe(4);
    expect(err).toContain('RPC_UNAVAILABLE');
  });

  test('what the aggregator refuses keeps its own code', async () => {
    const { code, err } = await consortium.run(['silo', 'refuse', 'charite', '--reason', 'no']);
    expect(code).toBe(new MedleyError('ENROLMENT_UNKNOWN', '').entry.exit);
    expect(err).toContain('ENROLMENT_UNKNOWN');
  });

  test.each([
    ['unary call', ['silo', 'list']],
    ['watch', ['study', 'status', 's', '--watch']],
    ['watch with --json', ['study', 'status', 's', '--watch', '--json']],
    ['download', ['audit', 'verify']],
  ])('130 when Ctrl-C comes during a %s', async (_, args) => {
    const signal = AbortSignal.abort(new MedleyError('INTERRUPTED', 'SIGINT'));
    const { code, out, err } = await consortium.run(args, { signal });
    expect({ code, out }).toEqual({ code: 130, out: '' });
    expect(err).toContain('interrupted');
  });

  test('1 for a fault of the program, without a stack', async () => {
    const clock: Clock = {
      nowMs: () => {
        throw new TypeError('boom');
      },
      sleep: () => Promise.resolve(),
    };
    const { code, err } = await consortium.run(['silo', 'invite', 'a'], { clock });
    expect(code).toBe(1);
    expect(err).toContain('INTERNAL');
    expect(err).not.toMatch(/^ +at /m);
  });
});
