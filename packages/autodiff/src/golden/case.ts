import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MedleyError } from '@medley/kit';

/** A tensor of a recorded case. */
export interface GoldenTensor {
  readonly dtype: 'float32' | 'int64';
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

/** A training recorded with PyTorch. */
export interface GoldenCase {
  readonly name: string;
  readonly loss: string;
  readonly optimizer: string;
  readonly hyperparameters: Readonly<Record<string, unknown>>;
  readonly steps: number;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Loss of each step, before its update. */
  readonly expectedLosses: readonly number[];
  readonly parameters: readonly string[];
  readonly buffers: readonly string[];
  readonly model: Uint8Array;
  readonly tensor: (name: string) => GoldenTensor | undefined;
}

interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly offset: number;
}

/** Reads case.json, model.onnx and tensors.bin of `folder`. Throws GOLDEN_CASE_INVALID. */
export function readGoldenCase(folder: string): GoldenCase {
  try {
    const json = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    const tensors = json['tensors'] as Readonly<Record<string, TensorEntry>>;
    const bin = new Uint8Array(readFileSync(join(folder, 'tensors.bin')));
    return {
      name: String(json['name']),
      loss: String(json['loss']),
      optimizer: String(json['optimizer']),
      hyperparameters: json['hyperparameters'] as Record<string, unknown>,
      steps: Number(json['steps']),
      inputs: json['inputs'] as string[],
      output: String(json['output']),
      expectedLosses: json['expected_losses'] as number[],
      parameters: json['parameters'] as string[],
      buffers: json['buffers'] as string[],
      model: new Uint8Array(readFileSync(join(folder, 'model.onnx'))),
      tensor: (name) => (tensors[name] === undefined ? undefined : tensorAt(bin, tensors[name])),
    };
  } catch (cause) {
    throw new MedleyError('GOLDEN_CASE_INVALID', `"${folder}" does not hold a recorded case`, {
      cause,
    });
  }
}

function tensorAt(bin: Uint8Array, { dtype, shape, offset }: TensorEntry): GoldenTensor {
  const count = shape.reduce((product, dim) => product * dim, 1);
  if (dtype !== 'float32' && dtype !== 'int64') {
    throw new MedleyError('GOLDEN_CASE_INVALID', `a recorded tensor is of type ${dtype}`);
  }
  const bytes = bin.slice(offset, offset + count * (dtype === 'float32' ? 4 : 8));
  return {
    dtype,
    shape,
    data: dtype === 'float32' ? new Float32Array(bytes.buffer) : new BigInt64Array(bytes.buffer),
  };
}
