import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { buildMlp, initialParameters, inspectModel } from '@medley/autodiff';
import { sha256, toHex, utf8, writeDurably } from '@medley/kit';
import type { StudyStatus } from '@medley/rpc';
import {
  encodedColumns,
  encodeModelState,
  EXAMPLE_STUDY,
  modelStateHash,
  readStudy,
} from '@medley/study';
import { startTestConsortium, type TestConsortium } from '../../../../tests/support/operator.ts';

const STUDY_BYTES = utf8(EXAMPLE_STUDY);
const STUDY = readStudy(STUDY_BYTES, 'study.yaml');
const COLUMNS = encodedColumns(STUDY).map(({ name }) => name);
const MODEL = buildMlp({
  features: COLUMNS.length,
  hidden: [4],
  outputs: 1,
  activation: 'tanh',
  seed: 'operator',
  inputName: STUDY.model.input,
  outputName: STUDY.model.output,
});

let consortium: TestConsortium;
beforeAll(async () => {
  consortium = await startTestConsortium();
  await writeDurably(join(consortium.folder, 'study', 'study.yaml'), STUDY_BYTES);
  await writeDurably(join(consortium.folder, 'study', 'model.onnx'), MODEL);
});
afterAll(() => consortium.close());
beforeEach(() => {
  consortium.admin.told.length = 0;
});

const told = (method: string): unknown =>
  consortium.admin.told.find((one) => one.method === method)?.request;

function status(round: number, state = 'active', change: Partial<StudyStatus> = {}): StudyStatus {
  const names = { study: 'recurrence-5y', title: 'Relapse', charterHash: 'c0' };
  return {
    summary: { ...names, state, round, rounds: 3, signed: 2, rosterSize: 2 },
    rounds: Array.from({ length: round }, (_, i) => ({
      round: i + 1,
      attempt: 1,
      kind: 'training',
      step: 'closed',
      survivors: ['silo-1', 'silo-2'],
      metrics: utf8(`{"kind":"training","evaluation":{"auc":0.7${i},"loss":0.5}}`),
    })),
    ...change,
  };
}

describe('study propose', () => {
  test('sends study file and model as they lie in the folder', async () => {
    const { code, out } = await consortium.run(['study', 'propose', 'study', '--silos', 'a, b']);
    expect(code).toBe(0);
    expect(out).toBe('recurrence-5y proposed to silo-1, silo-2\ncharter c0\n');
    expect(told('proposeStudy')).toMatchObject({ silos: ['a', 'b'] });
    const { studyFile, model } = told('proposeStudy') as {
      studyFile: Uint8Array;
      model: { sha256: Uint8Array };
    };
    expect(new Uint8Array(studyFile)).toEqual(STUDY_BYTES);
    expect(toHex(model.sha256)).toBe(toHex(sha256(MODEL)));
    expect(consortium.admin.proposedModel).toEqual(MODEL);
  });

  test('leaves the roster to the aggregator when no silo is named', async () => {
    const { out } = await consortium.run(['study', 'propose', 'study', '--json']);
    expect(told('proposeStudy')).toMatchObject({ silos: [] });
    const roster = ['silo-1', 'silo-2'];
    expect(JSON.parse(out)).toEqual({ study: 'recurrence-5y', charterHash: 'c0', roster });
  });

  test.each([
    ['no study file', 'empty', 'FILE_UNREADABLE', {}],
    [
      'a study file with a fault',
      'faulty',
      'STUDY_FILE_INVALID',
      { 'study.yaml': 'kind: Study\n' },
    ],
    ['no model', 'modelless', 'FILE_UNREADABLE', { 'study.yaml': EXAMPLE_STUDY }],
    [
      'a model that is none',
      'noise',
      'MODEL_UNREADABLE',
      { 'study.yaml': EXAMPLE_STUDY, 'model.onnx': '\u0001\u0002 no model' },
    ],
  ])('sends nothing for a folder with %s', async (_, folder, code, files) => {
    for (const [name, text] of Object.entries(files)) {
      await writeDurably(join(consortium.folder, folder, name), text);
    }
    const ended = await consortium.run(['study', 'propose', folder]);
    expect(ended.err).toContain(code);
    expect(ended.code).not.toBe(0);
    expect(consortium.admin.told).toEqual([]);
  });

  test('names every operator that agents cannot train through', async () => {
    const folder = join(consortium.folder, 'exotic');
    const exotic = Buffer.from(MODEL).toString('latin1').replaceAll('Tanh', 'Tahn');
    await writeDurably(join(folder, 'study.yaml'), EXAMPLE_STUDY);
    await writeDurably(join(folder, 'model.onnx'), Buffer.from(exotic, 'latin1'));
    const { err } = await consortium.run(['study', 'propose', 'exotic']);
    expect(err).toContain('MODEL_UNSUPPORTED_OPERATOR');
    expect(err).toContain('Tahn');
    expect(consortium.admin.told).toEqual([]);
  });

  test('refuses a roster with an empty name', async () => {
    const { code } = await consortium.run(['study', 'propose', 'study', '--silos', 'a,,b']);
    expect(code).toBe(2);
  });
});

describe('study plan', () => {
  const planned = async (block: string, args: readonly string[] = []) => {
    const text = EXAMPLE_STUDY.replace('localEpochs: 2', 'localSteps: 5').replace(
      'standardise: true',
      'standardise: false',
    );
    await writeDurably(join(consortium.folder, 'planned', 'study.yaml'), utf8(text + block));
    await writeDurably(join(consortium.folder, 'planned', 'model.onnx'), MODEL);
    return consortium.run(['study', 'plan', 'planned', ...args]);
  };

  test('shows what privacy all rounds cost, and sends nothing', async () => {
    const record =
      'privacy: { level: record, epsilon: 4, delta: 1e-5, clipNorm: 1, samplingRate: 0.1 }\n';
    const { code, out } = await planned(record);
    expect(code).toBe(0);
    expect(out).toMatch(
      /epsilon 4 at delta 0.00001 for each record .* all rounds take (3\.99|4\.00)/,
    );
    const { out: json } = await planned(record, ['--json']);
    const { privacy } = JSON.parse(json) as { privacy: { tightTraining: number } };
    expect(privacy).toMatchObject({ cost: { limit: 4, delta: 1e-5 } });
    // Tighter than the ledger's figure, of which evaluation takes a tenth and less.
    expect(privacy.tightTraining).toBeGreaterThan(2.5);
    expect(privacy.tightTraining).toBeLessThan(4);
    expect(consortium.admin.told).toEqual([]);
  });

  test('refuses noise that would drown the model, with the arithmetic', async () => {
    const { code, err } = await planned('privacy: { level: silo, epsilon: 1, delta: 1e-5 }\n');
    expect(code).not.toBe(0);
    expect(err).toContain('CHARTER_PRIVACY_NOISE');
    expect(err).toMatch(/in the sum of 5 silos and \d+ coordinates has length .* above 1/);
  });

  test('says so where there is none, and refuses a roster that is none', async () => {
    expect((await planned('')).out).toMatch(/privacy +none/);
    expect((await planned('', ['--hospitals', '2'])).code).toBe(2);
  });
});

test('study start asks for exactly that study', async () => {
  const { out } = await consortium.run(['study', 'start', 'recurrence-5y']);
  expect(out).toBe('recurrence-5y has started\n');
  expect(told('startStudy')).toEqual({ study: 'recurrence-5y' });
  const json = await consortium.run(['study', 'start', 'recurrence-5y', '--json']);
  expect(JSON.parse(json.out)).toEqual({ study: 'recurrence-5y', state: 'active' });
});

describe('study list', () => {
  test('says what to do when there is none', async () => {
    consortium.admin.studies = [];
    expect((await consortium.run(['study', 'list'])).out).toContain('medley study propose');
  });

  test('shows state, signatures and round', async () => {
    consortium.admin.studies = [status(2).summary!];
    const { out } = await consortium.run(['study', 'list']);
    expect(out.split('\n')[1]).toMatch(/^recurrence-5y +active +2 of 2 +2\/3 +Relapse$/);
    expect(JSON.parse((await consortium.run(['study', 'list', '--json'])).out)).toEqual({
      studies: [
        {
          study: 'recurrence-5y',
          title: 'Relapse',
          state: 'active',
          charterHash: 'c0',
          signed: 2,
          rosterSize: 2,
          round: 2,
          lastRound: 3,
        },
      ],
    });
  });
});

describe('study status', () => {
  test('shows rounds and who is waited for', async () => {
    consortium.admin.statuses = [status(2, 'active', { waitingFor: 'silo-2 in step share' })];
    const { out } = await consortium.run(['study', 'status', 'recurrence-5y']);
    expect(out).toContain('state    active (silo-2 in step share)');
    expect(out).toMatch(/\n2 +training +closed +1 +2 +– +0.7100\n/);
  });

  test('gives one document with --json', async () => {
    consortium.admin.statuses = [status(1)];
    const { out } = await consortium.run(['study', 'status', 'recurrence-5y', '--json']);
    expect(JSON.parse(out)).toMatchObject({
      study: 'recurrence-5y',
      lastRound: 3,
      waitingFor: null,
      rounds: [{ round: 1, metrics: { evaluation: { auc: 0.7 } } }],
    });
  });

  test('shows what each hospital has spent of the limit of a private study', async () => {
    const terms = { level: 'record', unit: 'patient', adjacency: 'addRemove', accountant: 'rdp/1' };
    const spent = [
      { silo: 'silo-1', epsilon: 1.25, releases: 3 },
      { silo: 'silo-2', epsilon: 0, releases: 0 },
    ];
    const privacy = { ...terms, limit: 4, delta: 1e-5, planned: 3.9991, spent };
    consortium.admin.statuses = [status(2, 'active', { privacy })];
    const { out } = await consortium.run(['study', 'status', 'recurrence-5y']);
    expect(out).toContain(
      'epsilon 4 at delta 0.00001 for each patient, rdp/1; all rounds will take 3.999',
    );
    expect(out).toContain('silo-1: spent 1.250 of 4');
    consortium.admin.statuses = [status(2, 'active', { privacy })];
    const json = await consortium.run(['study', 'status', 'recurrence-5y', '--json']);
    expect(JSON.parse(json.out)).toMatchObject({ privacy: { limit: 4, spent } });
  });

  test('--watch says each round once and the whole at the end', async () => {
    consortium.admin.statuses = [status(1), status(1), status(2), status(3, 'completed')];
    const { code, out, err } = await consortium.run(['study', 'status', 's', '--watch']);
    expect(code).toBe(0);
    expect(err.trim().split('\n')).toHaveLength(3);
    expect(err).toContain('round 2/3  active  AUC 0.7100');
    expect(out).toContain('state    completed');
  });

  test('--watch --json gives one document a line', async () => {
    consortium.admin.statuses = [status(1), status(2), status(3, 'completed')];
    const { out } = await consortium.run(['study', 'status', 's', '--watch', '--json']);
    const lines = out.trim().split('\n');
    const rounds = lines.map((line) => (JSON.parse(line) as { round: number }).round);
    expect(rounds).toEqual([1, 2, 3]);
  });

  test('--watch --json keeps errors off standard output', async () => {
    consortium.admin.statuses = [];
    const { code, out, err } = await consortium.run(['study', 'status', 's', '--watch', '--json']);
    expect(out).toBe('');
    expect(code).not.toBe(0);
    expect(err).toContain('STUDY_UNKNOWN');
  });
});

describe('model export', () => {
  const parameters = initialParameters(MODEL).map((value) => value + 1);
  const mean = Float64Array.from(COLUMNS, (_, i) => i);
  const scale = Float64Array.from(COLUMNS, () => 2);
  const state = encodeModelState({ parameters, standardisation: { mean, scale } });

  beforeEach(() => {
    consortium.admin.model = { state, onnx: MODEL, studyFile: STUDY_BYTES };
  });

  test('writes the trained weights, standardised, and says what it is', async () => {
    const args = ['model', 'export', 'recurrence-5y', '--out', 'out/model.onnx', '--json'];
    const { code, out } = await consortium.run(args);
    expect(code).toBe(0);
    const file = join(consortium.folder, 'out', 'model.onnx');
    expect(JSON.parse(out)).toEqual({
      study: 'recurrence-5y',
      round: 3,
      parameters: parameters.length,
      modelHash: modelStateHash(state),
      file,
    });
    const written = new Uint8Array(await readFile(file));
    expect(inspectModel(written).operators).toMatchObject({ Sub: 1, Div: 1 });
    expect(Buffer.from(written).includes('medley.columns')).toBe(true);
    expect(Buffer.from(written).includes(JSON.stringify(COLUMNS))).toBe(true);
  });

  test('says it in a line', async () => {
    const { out } = await consortium.run(['model', 'export', 's', '--out', 'model.onnx']);
    expect(out).toBe(
      `${join(consortium.folder, 'model.onnx')}: ${parameters.length} parameters after round 3\n`,
    );
  });

  test('writes nothing for a state of another model', async () => {
    const other = { parameters: new Float32Array(3), standardisation: null };
    consortium.admin.model = { ...consortium.admin.model, state: encodeModelState(other) };
    const { code, err } = await consortium.run(['model', 'export', 's', '--out', 'none.onnx']);
    expect(code).not.toBe(0);
    expect(err).toContain('MODEL_PARAMETERS_MISMATCH');
    await expect(readFile(join(consortium.folder, 'none.onnx'))).rejects.toThrow('ENOENT');
  });
});
