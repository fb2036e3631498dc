import { describe, expect, test } from '@jest/globals';
import { exportModel } from '../export.ts';
import { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { floatTensor } from '../graph/tensor.ts';
import { initialParameters, inspectModel } from '../inspect.ts';
import { infer } from '../ops/registry.ts';
import { Session } from '../session.ts';
import { decodeModel, encodeModel } from './codec.ts';
import { writeModel } from './writer.ts';

/** What PyTorch's exporter writes beside a graph. */
interface Told {
  /** `PARAMETER` or `BUFFER` by name in the code. */
  readonly signature: Readonly<Record<string, 'PARAMETER' | 'BUFFER'>>;
  readonly madeOf?: Readonly<Record<string, readonly string[]>>;
  /** Parameters that the call behind a node uses, by the node's name. */
  readonly calls?: Readonly<Record<string, readonly string[]>>;
}

/** A model of what `layers` makes of x [batch, 3], with PyTorch's metadata. */
function modelOf(layers: (b: Builder, x: Value) => Value, told: Told): Uint8Array {
  const b = new Builder(infer);
  const y = layers(b, b.input('x', 'float32', ['batch', 3]));
  const named = b.adopt({ ...b.named(y, 'y'), dtype: 'float32', shape: ['batch', 3] });
  const bytes = writeModel(b.graph('made', [named]), { producer: 'pytorch', version: '2.13.0' });
  const proto = decodeModel(bytes);
  const graph = proto.graph!;
  const lines = Object.entries(told.signature).map(
    ([name, kind]) => `p_${name.replaceAll('.', '_')}: ${kind} target='${name}'`,
  );
  const key = 'pkg.torch.export.ExportedProgram.graph_signature';
  graph.metadataProps = [{ key, value: `\n# inputs\n${lines.join('\n')}\nx: USER_INPUT\n` }];
  graph.valueInfo = Object.entries(told.madeOf ?? {}).map(([name, parts]) => ({
    name,
    metadataProps: [
      {
        key: 'pkg.onnxscript.optimizer.folded_from',
        value: `[${parts.map((part) => `'${part}'`).join(', ')}]`,
      },
    ],
  }));
  for (const node of graph.node!) {
    const parameters = told.calls?.[node.name ?? ''];
    if (parameters === undefined) continue;
    const text = parameters.map((name) => `%p_${name.replaceAll('.', '_')}`).join(', ');
    node.metadataProps = [
      { key: 'pkg.torch.onnx.fx_node', value: `%call(args = (%x, ${text}))` },
      { key: 'pkg.torch.onnx.name_scopes', value: `['', 'layer', 'call']` },
    ];
  }
  return encodeModel(proto);
}

const names = (bytes: Uint8Array) => inspectModel(bytes).parameters.map(({ name }) => name);

async function outputOf(bytes: Uint8Array, x: readonly number[]): Promise<number[]> {
  const session = await Session.open(bytes);
  const { y } = await session.run(
    { x: { dtype: 'float32', dims: [x.length / 3, 3], data: Float32Array.from(x) } },
    ['y'],
  );
  await session.close();
  return [...(y!.data as Float32Array)];
}

const weight = floatTensor([3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
const turned = floatTensor([3, 3], [1, 4, 7, 2, 5, 8, 3, 6, 9]);

/** x · W · Wᵀ as the exporter writes a tied weight. */
const tiedModel = (madeOf: Told['madeOf']): Uint8Array =>
  modelOf(
    (b, x) => {
      const h = b.op('MatMul', [x, b.constant(weight, 'e.weight')]);
      const known = b.adopt({ ...h, dtype: 'float32', shape: ['batch', 3] });
      return b.op('MatMul', [known, b.constant(turned, 'val_0')]);
    },
    { signature: { 'e.weight': 'PARAMETER' }, ...(madeOf && { madeOf }) },
  );

describe('a weight that is in the file a second time, transposed', () => {
  test('is one weight where the exporter says that one was made of the other', () => {
    expect(names(tiedModel({ val_0: ['e.weight'] }))).toEqual(['e.weight']);
  });

  test('stays two where nothing says so: equal weights need not be one', () => {
    const bytes = modelOf(
      (b, x) => {
        const h = b.op('MatMul', [x, b.constant(weight, 'e.weight')]);
        const known = b.adopt({ ...h, dtype: 'float32', shape: ['batch', 3] });
        return b.op('MatMul', [known, b.constant(turned, 'val_0')]);
      },
      {
        signature: { 'e.weight': 'PARAMETER', 'o.weight': 'PARAMETER' },
        madeOf: { val_0: ['o.weight'] },
      },
    );
    expect(names(bytes)).toEqual(['e.weight', 'val_0']);
  });

  test('is written in both forms when the model is exported', async () => {
    const bytes = tiedModel({ val_0: ['e.weight'] });
    const trained = exportModel(bytes, Float32Array.of(0, 1, 0, 0, 0, 1, 2, 0, 0));
    // x·W picks columns, ·Wᵀ brings them back: (1, 2, 3) → (6, 1, 2) → (1, 2, 12).
    expect(await outputOf(trained, [1, 2, 3])).toEqual([1, 2, 12]);
  });
});

describe('a tensor that the exporter computed', () => {
  const withMask = (values: number[], told: Told): Uint8Array =>
    modelOf((b, x) => {
      const h = b.op('MatMul', [x, b.constant(weight, 'w')]);
      const known = b.adopt({ ...h, dtype: 'float32', shape: ['batch', 3] });
      return b.op('Add', [known, b.constant(floatTensor([3], values), 'unsqueeze_2')]);
    }, told);

  test.each([
    ['of nothing in the code', ['full', 'triu', 'val_1'], [0, -Infinity, -Infinity]],
    ['of a buffer', ['table'], [0.1, 0.2, 0.3]],
  ])('%s is a constant', (_what, parts, values) => {
    const bytes = withMask(values, {
      signature: { w: 'PARAMETER', table: 'BUFFER' },
      madeOf: { unsqueeze_2: parts },
    });
    expect(names(bytes)).toEqual(['w']);
  });

  test('of a parameter is a weight', () => {
    const bytes = withMask([0.1, 0.2, 0.3], {
      signature: { w: 'PARAMETER', pos: 'PARAMETER' },
      madeOf: { unsqueeze_2: ['pos', 'val_1'] },
    });
    expect(names(bytes)).toEqual(['w', 'unsqueeze_2']);
  });

  test('is a weight where a call in the code names parameters: equal tensors are stored once', () => {
    const bytes = modelOf(
      (b, x) => b.op('Add', [x, b.constant(floatTensor([3], [1, 1, 1]), 'ones')], {}, 'shift'),
      {
        signature: { 'l.bias': 'PARAMETER' },
        madeOf: { ones: ['val_1'] },
        calls: { shift: ['l.bias'] },
      },
    );
    expect(names(bytes)).toHaveLength(1);
  });
});

describe('a bias that the exporter left out because it is 0', () => {
  const gemm = (parameters: readonly string[]): Uint8Array =>
    modelOf((b, x) => b.op('Gemm', [x, b.constant(weight, 'l.weight')], { transB: 1 }, 'linear'), {
      signature: { 'l.weight': 'PARAMETER', 'l.bias': 'PARAMETER' },
      calls: { linear: parameters },
    });

  test('is a weight again, at 0', () => {
    const bytes = gemm(['l.weight', 'l.bias']);
    expect(names(bytes)).toEqual(['l.weight', 'l.bias']);
    expect([...initialParameters(bytes)].slice(9)).toEqual([0, 0, 0]);
  });

  test('is not made up for a layer without one', () => {
    expect(names(gemm(['l.weight']))).toEqual(['l.weight']);
  });

  test('is in the exported model', async () => {
    const identity = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    const trained = exportModel(
      gemm(['l.weight', 'l.bias']),
      Float32Array.from([...identity, 10, 20, 30]),
    );
    expect(await outputOf(trained, [1, 2, 3])).toEqual([11, 22, 33]);
    const kept = exportModel(gemm(['l.weight', 'l.bias']), Float32Array.from(identity), {
      frozen: ['l.bias'],
    });
    expect(await outputOf(kept, [1, 2, 3])).toEqual([1, 2, 3]);
  });
});
