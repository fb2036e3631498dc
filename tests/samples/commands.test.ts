import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { CATALOGUE, silentLogger, systemClock, systemRng } from '@medley/kit';
import { agentProgram } from '@medley/silo-agent';
import { operatorProgram } from '../../services/operator/src/cli/program.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = [
  'README.md',
  ...readdirSync(`${root}docs`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
/** Of programs without a program object of their own: what their one command takes. */
const SERVERS: Readonly<Record<string, RegExp>> = {
  'medley-aggregator': /^serve --config \S+$/,
  'medley-audit': /^serve --config \S+$/,
};

/** A program that parses as it would and then does nothing. */
function idle(name: string): Command {
  const text = { write: () => true };
  // Only parsing is asked for: no command runs, so nothing of the context is used.
  const context = {
    terminal: () => undefined,
    logger: () => silentLogger,
    clock: systemClock,
    rng: systemRng,
    env: {},
    cwd: root,
    version: '0',
  } as never;
  const program =
    name === 'medley'
      ? operatorProgram(context, { stdout: text, stderr: text, version: '0' })
      : agentProgram(context, () => undefined);
  for (const leaf of leavesOf(program)) leaf.action(() => undefined);
  return program;
}

function leavesOf(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
}

/** The words of one shell command, quotes taken away. */
function words(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  );
}

/** Every `medley…` command in a text whose lines are shell; what stands apart behind one explains it. */
function commandsIn(shell: string): string[] {
  return shell
    .split(/\n|&&/)
    .map((line) => line.trim().split(/ {3,}| # /)[0] ?? '')
    .filter((line) => /^medley(-agent|-aggregator|-audit)? /.test(line));
}

async function check(command: string): Promise<void> {
  const [name = '', ...args] = words(command);
  const server = SERVERS[name];
  if (server) expect(args.join(' ')).toMatch(server);
  else await idle(name).parseAsync(args, { from: 'user' });
}

describe('commands in the documentation are understood', () => {
  const commands = pages.flatMap((page) =>
    [...readFileSync(root + page, 'utf8').matchAll(/```sh\n([^`]*)```/g)]
      .flatMap((block) => commandsIn(block[1] ?? ''))
      .map((command) => [page, command] as const),
  );

  test('and there are some', () => {
    expect(commands.length).toBeGreaterThan(15);
  });

  test.each(commands)('%s: %s', async (_, command) => {
    await check(command);
  });
});

describe('examples in --help are understood', () => {
  const examples = ['medley', 'medley-agent'].flatMap((name) =>
    leavesOf(idle(name)).flatMap((leaf) => {
      let text = '';
      leaf.configureOutput({ writeOut: (part) => void (text += part) }).outputHelp();
      return commandsIn(text.slice(text.indexOf('--help')));
    }),
  );

  test('and there are some', () => {
    expect(examples.length).toBeGreaterThan(15);
  });

  test.each(examples)('%s', async (example) => {
    await check(example);
  });
});

test('commands that remedies and prose name exist', () => {
  const prose = [
    ...Object.values(CATALOGUE).map(({ remedy }) => remedy),
    ...pages.map((page) => readFileSync(root + page, 'utf8').replaceAll(/```[^`]*```/g, '')),
  ].join('\n');
  const named = [...prose.matchAll(/`(medley|medley-agent) ((?:[a-z]+ ?)+)/g)];
  const unknown = named
    .map(([, name = '', path = '']) => {
      let command: Command | undefined = idle(name);
      for (const word of path.trim().split(' ')) {
        if (command.commands.length === 0) break;
        command = command.commands.find((one) => one.name() === word);
        if (!command) return `${name} ${path}`;
      }
      return undefined;
    })
    .filter((one) => one !== undefined);
  expect(named.length).toBeGreaterThan(10);
  expect([...new Set(unknown)]).toEqual([]);
});
