import { describe, expect, test } from '@jest/globals';
import type { onnx } from '../generated/onnx.js';
import { exportModel } from '../export.ts';
import { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { floatTensor } from '../graph/tensor.ts';
import { initialParameters, inspectModel } from '../inspect.ts';
import { infer } from '../ops/registry.ts';
import { Session } from '../session.ts';
import { decodeModel, encodeModel } from './codec.ts';
import { writeModel } from './writer.ts';

const ones = floatTensor([3], [1, 1, 1]);
const zeros = floatTensor([3], [0, 0, 0]);

/** A model of what `layers` makes of x [batch, 3]. */
function modelOf(layers: (b: Builder, x: Value) => Value): Uint8Array {
  const b = new Builder(infer);
  const y = layers(b, b.input('x', 'float32', ['batch', 3]));
  const named = b.adopt({ ...b.named(y, 'y'), dtype: 'float32', shape: ['batch', 3] });
  return writeModel(b.graph('shared', [named]), { producer: 'test', version: '1' });
}

/** The file with the metadata that PyTorch gives nodes, by the node's name. */
function told(bytes: Uint8Array, calls: Readonly<Record<string, readonly string[]>>): Uint8Array {
  const proto = decodeModel(bytes);
  for (const node of proto.graph!.node!) {
    const [scope, ...parameters] = calls[node.name ?? ''] ?? [];
    if (scope === undefined) continue;
    node.metadataProps = [
      entry('fx_node', `%call(args = (${parameters.map((name) => `%p_${name}`).join(', ')}))`),
      entry('name_scopes', `['', '${scope}', 'call']`),
    ];
  }
  return encodeModel(proto);
}

const entry = (key: string, value: string): onnx.IStringStringEntryProto => ({
  key: `pkg.torch.onnx.${key}`,
  value,
});

const names = (bytes: Uint8Array, options = {}) =>
  inspectModel(bytes, options).parameters.map(({ name }) => name);

const twoNorms = () =>
  modelOf((b, x) => {
    const [scale, bias] = [b.constant(ones, 'n1.weight'), b.constant(zeros, 'n1.bias')];
    const h = b.op('LayerNormalization', [x, scale, bias], {}, 'first');
    const known = b.adopt({ ...h, dtype: 'float32', shape: ['batch', 3] });
    return b.op('LayerNormalization', [known, scale, bias], {}, 'second');
  });

describe('weights that the file stores once for several layers', () => {
  test('are several again where normalisation nodes share them', () => {
    expect(names(twoNorms())).toEqual([
      'n1.weight',
      'n1.bias',
      'n1.weight/second',
      'n1.bias/second',
    ]);
    expect(names(twoNorms(), { unshare: false })).toEqual(['n1.weight', 'n1.bias']);
  });

  test('get the names they have in the code where the metadata tells', () => {
    const bytes = told(twoNorms(), {
      first: ['n1', 'n1_weight', 'n1_bias'],
      second: ['n2', 'n2_weight', 'n2_bias'],
    });
    expect(names(bytes)).toEqual(['n1.weight', 'n1.bias', 'n2.weight', 'n2.bias']);
  });

  test('stay one where the code calls one layer twice', () => {
    const call = ['n1', 'n1_weight', 'n1_bias'];
    expect(names(told(twoNorms(), { first: call, second: call }))).toEqual([
      'n1.weight',
      'n1.bias',
    ]);
  });

  test('are told apart for scale and bias of one layer', () => {
    const bytes = modelOf((b, x) => {
      const both = b.constant(zeros, 'n.bias');
      return b.op('LayerNormalization', [x, both, both], {}, 'n');
    });
    expect(names(bytes)).toEqual(['n.bias', 'n.bias/n']);
    expect(names(told(bytes, { n: ['n', 'n_weight', 'n_bias'] }))).toHaveLength(2);
  });

  test('are several again for a linear bias merged into that of a normalisation', () => {
    const bytes = modelOf((b, x) => {
      const [scale, bias] = [b.constant(ones, 'n.weight'), b.constant(zeros, 'n.bias')];
      const h = b.op('LayerNormalization', [x, scale, bias], {}, 'norm');
      return b.op(
        'Add',
        [b.adopt({ ...h, dtype: 'float32', shape: ['batch', 3] }), bias],
        {},
        'add',
      );
    });
    const calls = { norm: ['n', 'n_weight', 'n_bias'], add: ['l', 'l_weight', 'l_bias'] };
    expect(names(told(bytes, calls))).toEqual(['n.weight', 'n.bias', 'l.bias']);
    expect(names(bytes)).toEqual(['n.weight', 'n.bias', 'n.bias/norm']);
  });

  test('are several again for slopes of PRelu, which all start the same', () => {
    const bytes = modelOf((b, x) => {
      const slope = b.constant(floatTensor([1], [0.25]), 'a.weight');
      return b.op('PRelu', [b.op('PRelu', [x, slope], {}, 'one'), slope], {}, 'two');
    });
    expect(inspectModel(bytes).parameters.length).toBeGreaterThanOrEqual(1);
    expect(names(bytes)).toEqual(['a.weight', 'a.weight/two']);
  });
});

test('a buffer of the module, which the metadata tells from parameters, is no weight', () => {
  const bytes = modelOf((b, x) => {
    const scaled = b.op('Mul', [x, b.constant(ones, 'scale')], {}, 'mul');
    return b.op('Add', [scaled, b.constant(zeros, 'tables.places')], {}, 'add');
  });
  expect(names(bytes)).toEqual(['scale', 'tables.places']);
  const proto = decodeModel(told(bytes, { mul: ['', 'scale'] }));
  const call = entry('fx_node', '%add(args = (%mul, %b_tables_places))');
  proto.graph!.node!.find(({ name }) => name === 'add')!.metadataProps = [call];
  expect(names(encodeModel(proto))).toEqual(['scale']);
});

describe("TorchScript's names of nodes", () => {
  /** Two normalisations over the same tensors, under the names given. */
  const called = (first: string, second: string) => {
    const proto = decodeModel(twoNorms());
    proto.producerName = 'pytorch';
    proto.graph!.node!.forEach((node, i) => (node.name = [first, second][i] ?? ''));
    return encodeModel(proto);
  };
  const [one, again] = ['/n1/LayerNormalization', '/n1_1/LayerNormalization'];

  test('tell that one layer is called twice', () => {
    expect(names(called(one, again))).toEqual(['n1.weight', 'n1.bias']);
    const inSequence = [
      '/net/net.1/LayerNormalization',
      '/net/net.1_1/LayerNormalization',
    ] as const;
    expect(names(called(...inSequence))).toHaveLength(2);
  });

  test('tell two layers apart', () => {
    expect(names(called(one, '/n2/LayerNormalization'))).toHaveLength(4);
    expect(names(called(one, '/n1_2/n/LayerNormalization'))).toHaveLength(4);
  });

  /** Slopes of three PRelu that the exporter laid out anew, the second and third merged into the first. */
  const slopes = (...nodes: readonly [string, string, string]) => {
    const bytes = modelOf((b, x) => {
      const first = b.constant(floatTensor([1], [0.25]), 'onnx::PRelu_5');
      const [second, third] = [6, 7].map((i) => b.op('Identity', [first], {}, `onnx::PRelu_${i}`));
      let y = x;
      for (const [i, slope] of [first, second, third].entries())
        y = b.op('PRelu', [y, slope], {}, `slope${i}`);
      return y;
    });
    const proto = decodeModel(bytes);
    proto.producerName = 'pytorch';
    for (const node of proto.graph!.node!)
      if (node.opType === 'PRelu')
        node.name = nodes[Number((node.output ?? [])[0]?.at(-1))] ?? 'PRelu';
    return encodeModel(proto);
  };

  test('tell which weights without a name of their own are one', () => {
    expect(names(slopes('/a/PRelu', '/b/PRelu', '/c/PRelu'))).toEqual([
      'onnx::PRelu_5',
      'onnx::PRelu_6',
      'onnx::PRelu_7',
    ]);
    expect(names(slopes('/a/PRelu', '/b/PRelu', '/b_1/PRelu'))).toHaveLength(2);
    expect(names(slopes('/a/PRelu', '/a_1/PRelu', '/a_2/PRelu'))).toHaveLength(1);
    const apart = slopes('/a/PRelu', '/b/PRelu', '/b_1/PRelu');
    const trained = initialParameters(apart).map((_, i) => i + 1);
    expect(initialParameters(exportModel(apart, trained))).toEqual(trained);
  });
});

test('a weight that an Identity passes on under another name keeps its own', () => {
  const bytes = modelOf((b, x) => {
    const [scale, bias] = [b.constant(ones, 'n1.weight'), b.constant(zeros, 'n1.bias')];
    const copy = b.op('Identity', [scale], {}, 'n2.weight');
    const h = b.op('LayerNormalization', [x, scale, bias], {}, 'first');
    const known = b.adopt({ ...h, dtype: 'float32', shape: ['batch', 3] });
    return b.op('LayerNormalization', [known, copy, b.constant(zeros, 'n2.bias')], {}, 'second');
  });
  expect(names(bytes).toSorted()).toEqual(['n1.bias', 'n1.weight', 'n2.bias', 'n2.weight']);
});

describe('initializers that PyTorch feeds through Identity nodes with their names', () => {
  const renamed = (producer: string, name: string) => {
    const bytes = modelOf((b, x) => {
      const first = b.constant(ones, 'layer.weight');
      return b.op('Mul', [b.op('Mul', [x, first]), b.op('Identity', [first], {}, name)]);
    });
    const proto = decodeModel(bytes);
    proto.producerName = producer;
    return encodeModel(proto);
  };

  test('are weights of their own again', () => {
    expect(names(renamed('pytorch', 'token'))).toEqual(['layer.weight', 'token']);
    expect(names(renamed('other', 'norm.bias'))).toEqual(['layer.weight', 'norm.bias']);
    expect(names(renamed('pytorch', 'token'), { unshare: false })).toEqual(['layer.weight']);
  });

  test('stay one where the name is none of a weight', () => {
    for (const [producer, name] of [
      ['other', 'token'],
      ['pytorch', '/layer/Identity_output_0'],
      ['pytorch', 'onnx::Mul_12'],
      ['pytorch', '17'],
      ['pytorch', 'val_17'],
    ] as const) {
      expect(names(renamed(producer, name))).toEqual(['layer.weight']);
    }
  });
});

describe('an exported model', () => {
  test('has the several weights, and reads back the same', () => {
    const bytes = twoNorms();
    const trained = initialParameters(bytes).map((_, i) => i + 1);
    const again = exportModel(bytes, trained);
    expect(initialParameters(again)).toEqual(trained);
    expect(names(again)).toEqual(names(bytes));
  });

  test('keeps what is frozen of merged weights as the file had it', () => {
    const bytes = twoNorms();
    const options = { frozen: ['*/second'] };
    const trained = initialParameters(bytes, options).map((_, i) => i + 2);
    const all = initialParameters(exportModel(bytes, trained, options));
    expect([...all]).toEqual([...trained, 1, 1, 1, 0, 0, 0]);
  });

  test('has them also where initializers had to be inputs', async () => {
    const proto = decodeModel(twoNorms());
    proto.irVersion = 3 as never;
    const { input, initializer } = proto.graph!;
    for (const { name, dims } of initializer!) {
      const dim = dims!.map((size) => ({ dimValue: size }));
      input!.push({ name: name!, type: { tensorType: { elemType: 1, shape: { dim } } } });
    }
    const bytes = encodeModel(proto);
    expect(inspectModel(bytes).inputs.map(({ name }) => name)).toEqual(['x']);
    const session = await Session.open(exportModel(bytes, initialParameters(bytes)));
    await session.close();
  });
});

describe('the ones and zeros that PyTorch puts into InstanceNormalization for a GroupNorm', () => {
  const grouped = (scale: string, bias: string) =>
    modelOf((b, x) => {
      const inputs = [x, b.constant(ones, scale), b.constant(zeros, bias)];
      const h = b.op('InstanceNormalization', inputs, {}, 'norm');
      const known = b.adopt({ ...h, dtype: 'float32', shape: ['batch', 3] });
      return b.op('Mul', [known, b.constant(ones, 'val_9')], {}, 'affine');
    });

  test('are no weights, the factors after it are', () => {
    expect(names(grouped('val_3', 'val_4'))).toEqual(['val_9']);
    const call = ['g', 'g_weight', 'g_bias'];
    expect(names(told(grouped('g.weight', 'g.bias'), { norm: call, affine: call }))).toEqual([
      'val_9',
    ]);
  });

  test('of a real InstanceNorm are weights', () => {
    expect(names(grouped('i.weight', 'i.bias'))).toEqual(['i.weight', 'i.bias', 'val_9']);
  });
});
