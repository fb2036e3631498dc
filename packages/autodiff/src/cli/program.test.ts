import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createTerminal,
  isMedleyError,
  seededRng,
  systemClock,
  uniformReal,
  type Clock,
} from '@medley/kit';
import { inspectModel } from '../inspect.ts';
import { buildMlp } from '../mlp.ts';
import { trainProgram } from './program.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-train-'));
  const model = buildMlp({ features: 3, hidden: [8], outputs: 1, activation: 'relu', seed: 'cli' });
  await writeFile(join(folder, 'net.onnx'), model);
  await writeFile(join(folder, 'rows.csv'), rows(120));
});
afterEach(() => rm(folder, { recursive: true }));

/** Rows whose class follows from two of three features of very different sizes. */
function rows(count: number): string {
  const rng = seededRng('cli rows');
  const line = (): string => {
    const [a, b, c] = [uniformReal(rng) * 10, uniformReal(rng) * 1000, uniformReal(rng)] as const;
    return `${a},${b},${c},${100 * a + b > 1000 ? 1 : 0}`;
  };
  return `a,b,c,ill\n${Array.from({ length: count }, line).join('\n')}\n`;
}

interface Ran {
  readonly out: string;
  readonly words: string;
  readonly exit: number;
}

async function run(
  args: readonly string[],
  options: { readonly signal?: AbortSignal; readonly clock?: Clock } = {},
): Promise<Ran> {
  const { signal = new AbortController().signal, clock = systemClock } = options;
  let [out, words, exit] = ['', '', 0];
  const terminal = (json: boolean) =>
    createTerminal({
      stdout: { write: (text) => (out += text) },
      stderr: { write: (text) => (words += text) },
      env: {},
      json,
    });
  const context = { terminal, clock, interrupted: signal, cwd: folder, version: '0' };
  const program = trainProgram(context, (code) => (exit = code));
  program.configureOutput({
    writeErr: (text) => (words += text),
    writeOut: (text) => (out += text),
  });
  await program.parseAsync(['node', 'medley-train', ...args]);
  return { out, words, exit };
}

const BASE = ['net.onnx', '--data', 'rows.csv', '--loss', 'bce_with_logits'];
const codeOf = async (args: readonly string[]): Promise<unknown> => {
  const error = await run(args).catch((caught: unknown) => caught);
  return isMedleyError(error) ? error.code : (error as { code?: unknown }).code;
};

describe('medley-train', () => {
  test('learns, draws the loss and saves a model with its scaling inside', async () => {
    const ran = await run([...BASE, '--standardize', '--epochs', '12', '--lr', '0.02', '--json']);
    const result = JSON.parse(ran.out) as { out: string; epochs: { validation: number }[] };
    expect(result.epochs).toHaveLength(12);
    expect(result.epochs.at(-1)!.validation).toBeLessThan(0.5 * result.epochs[0]!.validation);
    expect(ran.words).toContain('○ validation loss');
    const saved = inspectModel(await readFile(join(folder, 'net.trained.onnx')));
    expect(saved.operators).toMatchObject({ Sub: 1, Div: 1 });
  });

  test('stopped and resumed, it ends with the bits of a training in one go', async () => {
    const args = [...BASE, '--epochs', '5'];
    await run([...args, '--out', 'whole.onnx']);
    const abort = new AbortController();
    // Time passes quickly enough that each run of the engine is one step; the 8th look is the end.
    let looks = 0;
    const clock = {
      ...systemClock,
      nowMs: () => (++looks === 16 && abort.abort(), looks * 1000),
    };
    const rest = ['--out', 'parts.onnx', '--resume', 'state.json'];
    const stopped = await run([...args, ...rest], {
      signal: abort.signal,
      clock,
    });
    expect(stopped.exit).toBe(130);
    expect(stopped.words).toContain('Interrupted after 8 steps');
    expect((await run([...args, ...rest])).exit).toBe(0);
    const [whole, parts] = await Promise.all(
      ['whole.onnx', 'parts.onnx'].map((name) => readFile(join(folder, name))),
    );
    expect(parts).toEqual(whole);
  });

  test('stopped and resumed with patience, it keeps the best of both parts', async () => {
    // A rate at which the first epochs are the best.
    const args = [...BASE, '--epochs', '6', '--patience', '4', '--lr', '3', '--seed', '2'];
    const { epochs: judged } = JSON.parse(
      (await run([...args, '--out', 'whole.onnx', '--json'])).out,
    ) as { epochs: { validation: number }[] };
    const losses = judged.map(({ validation }) => validation);
    expect(losses.indexOf(Math.min(...losses))).toBeLessThan(3);
    for (const epochs of ['3', '6']) {
      const part = args.with(args.indexOf('--epochs') + 1, epochs);
      await run([...part, '--out', 'parts.onnx', '--resume', 'state.json']);
    }
    const [whole, parts] = await Promise.all(
      ['whole.onnx', 'parts.onnx'].map((name) => readFile(join(folder, name))),
    );
    expect(parts).toEqual(whole);
  });

  test('bounds the gradient, and lets the rate fall to almost nothing', async () => {
    const figures = async (...more: string[]) => {
      const args = [...BASE, '--optimizer', 'sgd', '--lr', '1', '--epochs', '4', '--json', ...more];
      return (JSON.parse((await run(args)).out) as { epochs: { loss: number }[] }).epochs;
    };
    const small = await figures('--clip', '1e-6');
    expect(small[3]!.loss).toBeCloseTo(small[0]!.loss, 0);
    expect(await figures('--schedule', 'cosine')).not.toEqual(await figures());
    const other = [...BASE, '--schedule', 'linear', '--resume', 'state.json'];
    await run([...other, '--epochs', '1']);
    expect(await codeOf([...other, '--epochs', '2'])).toBe('TRAINING_OPTIONS_INVALID');
  });

  test('does not resume a training with other options', async () => {
    await run([...BASE, '--epochs', '1', '--resume', 'state.json']);
    const other = [...BASE, '--epochs', '1', '--resume', 'state.json', '--lr', '0.1'];
    expect(await codeOf(other)).toBe('TRAINING_OPTIONS_INVALID');
  });

  test('with patience it keeps the best and stops', async () => {
    const args = [...BASE, '--epochs', '50', '--patience', '1', '--lr', '3', '--json'];
    const { epochs, isComplete } = JSON.parse((await run(args)).out) as {
      epochs: { validation: number }[];
      isComplete: boolean;
    };
    expect(epochs.length).toBeLessThan(50);
    expect(isComplete).toBe(true);
  });

  test('tells what a training would cost without training', async () => {
    const ran = await run([...BASE, '--report']);
    expect(ran.out).toContain('Everything in this model can be trained.');
    await expect(readFile(join(folder, 'net.trained.onnx'))).rejects.toThrow('ENOENT');
  });
});

describe('what cannot be trained on', () => {
  test.each([
    ['a cell that is no number', 'a,b,c,ill\n1,2,x,0\n', 'TRAINING_DATA_INVALID'],
    ['an empty cell', 'a,b,c,ill\n1,2,,0\n', 'TRAINING_DATA_INVALID'],
    ['a ragged row', 'a,b,c,ill\n1,2,0\n', 'TRAINING_DATA_INVALID'],
    ['another separator', 'a;b;c;ill\n1;2;3;0\n', 'TRAINING_DATA_INVALID'],
    ['no rows', 'a,b,c,ill\n', 'TRAINING_DATA_INVALID'],
    ['a column twice', 'a,b,b,ill\n1,2,3,0\n', 'TRAINING_DATA_INVALID'],
    ['too few columns', 'a,b,ill\n1,2,0\n', 'TRAINING_DATA_INVALID'],
    ['a batch larger than the data', 'a,b,c,ill\n1,2,3,0\n', 'TRAINING_OPTIONS_INVALID'],
  ])('%s is refused with a code', async (_, text, code) => {
    await writeFile(join(folder, 'rows.csv'), text);
    expect(await codeOf(BASE)).toBe(code);
  });

  test('an unknown column, loss or option is refused', async () => {
    expect(await codeOf([...BASE, '--target', 'age'])).toBe('TRAINING_DATA_INVALID');
    expect(await codeOf(['net.onnx', '--data', 'rows.csv', '--loss', 'x'])).toBe(
      'commander.invalidArgument',
    );
    expect(await codeOf([...BASE, '--batch', '0'])).toBe('commander.invalidArgument');
    expect(await codeOf(['no.onnx', '--data', 'rows.csv', '--loss', 'mse'])).toBe(
      'FILE_UNREADABLE',
    );
  });
});
