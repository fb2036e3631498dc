import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { onnx } from '../generated/onnx.js';
import { initialParameters, inspectModel } from '../inspect.ts';
import { buildMlp } from '../mlp.ts';
import { decodeModel, encodeModel } from './codec.ts';
import { readModelFile } from './external.ts';

const whole = buildMlp({ features: 3, hidden: [4], outputs: 2, activation: 'relu', seed: 'e' });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'medley-external-'));
  mkdirSync(join(folder, 'model'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Writes the model with its first tensor in another file; `entries` replaces what it says of it. */
function apart(entries: Readonly<Record<string, string>> = {}): string {
  const proto = decodeModel(whole);
  const tensor = proto.graph!.initializer![0]!;
  const data = tensor.rawData!;
  mkdirSync(join(folder, 'model', 'data'), { recursive: true });
  for (const path of ['model/data/weights', 'outside', 'model/half']) {
    writeFileSync(join(folder, path), Buffer.concat([Buffer.alloc(16), data]));
  }
  truncateSync(join(folder, 'model/half'), 20);
  const all = { location: 'data/weights', offset: '16', length: String(data.length), ...entries };
  tensor.rawData = new Uint8Array();
  tensor.dataLocation = onnx.TensorProto.DataLocation.EXTERNAL;
  tensor.externalData = Object.entries(all).map(([key, value]) => ({ key, value }));
  const path = join(folder, 'model', 'model.onnx');
  writeFileSync(path, encodeModel(proto));
  return path;
}

describe('a model with tensors in other files', () => {
  test('is read as one with all of them inside', () => {
    const bytes = readModelFile(apart());
    expect(initialParameters(bytes)).toEqual(initialParameters(whole));
    expect(inspectModel(bytes).parameters).toEqual(inspectModel(whole).parameters);
  });

  test('that has none comes back as it is', () => {
    writeFileSync(join(folder, 'plain.onnx'), whole);
    expect(readModelFile(join(folder, 'plain.onnx'))).toEqual(whole);
  });

  test('that cannot be read is said to be so', () => {
    for (const path of [join(folder, 'nothing.onnx'), join(folder, 'no', 'm.onnx'), folder]) {
      expect(() => readModelFile(path)).toThrow(
        expect.objectContaining({ code: 'FILE_UNREADABLE' }),
      );
    }
  });

  test.each([
    ['climbs', '../outside'],
    ['climbs on a long way', 'data/../../outside'],
    ['is absolute', '/etc/hostname'],
    ['is absolute elsewhere', 'C:\\weights'],
    ['has another separator', '..\\outside'],
    ['is a folder', 'data'],
    ['is the folder itself', '.'],
    ['is empty', ''],
    ['has a zero byte', 'data/weights\0'],
    ['is not there', 'nothing'],
    ['is too short', 'half'],
    ['is a link out', 'link'],
    ['goes through a link out', 'way/outside'],
  ])('is refused when a location %s', (_, location) => {
    const path = apart({ location });
    symlinkSync(join(folder, 'outside'), join(folder, 'model', 'link'));
    symlinkSync(folder, join(folder, 'model', 'way'));
    expect(() => readModelFile(path)).toThrow(
      expect.objectContaining({ code: 'MODEL_EXTERNAL_DATA' }),
    );
  });

  test.each([
    { offset: '-1' },
    { offset: '1e9' },
    { length: '9999' },
    { offset: '99999999999999' },
  ])('is refused when it says %j', (entries) => {
    expect(() => readModelFile(apart(entries))).toThrow(
      expect.objectContaining({ code: 'MODEL_EXTERNAL_DATA' }),
    );
  });

  test('is refused when the part is not what the shape takes', () => {
    expect(() => inspectModel(readModelFile(apart({ length: '4' })))).toThrow(
      expect.objectContaining({ code: 'MODEL_INVALID' }),
    );
    expect(() => readModelFile(apart({ length: '99999999999999' }))).toThrow(
      expect.objectContaining({ code: 'MODEL_TOO_LARGE' }),
    );
  });
});
