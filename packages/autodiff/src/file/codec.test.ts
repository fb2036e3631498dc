import { describe, expect, test } from '@jest/globals';
import { isMedleyError } from '@medley/kit';
import fc from 'fast-check';
import type { onnx } from '../generated/onnx.js';
import { inspectModel } from '../inspect.ts';
import { buildMlp } from '../mlp.ts';
import { buildTraining } from '../training/build.ts';
import { decodeModel, encodeModel } from './codec.ts';

const model = buildMlp({ features: 3, hidden: [4], outputs: 2, activation: 'relu', seed: 'c' });

/** The model after `change`, as a file. */
function changed(change: (graph: onnx.IGraphProto, proto: onnx.ModelProto) => void): Uint8Array {
  const proto = decodeModel(model);
  change(proto.graph!, proto);
  return encodeModel(proto);
}

const refuses = (bytes: Uint8Array, code: string) =>
  expect(() => inspectModel(bytes)).toThrow(expect.objectContaining({ code }));

describe('a model file', () => {
  test('comes back byte for byte when nothing is changed', () => {
    expect(encodeModel(decodeModel(model))).toEqual(model);
  });

  test('is read the same from a Buffer, which shares its memory with others', () => {
    const shared = Buffer.concat([Buffer.from('xyz'), model]).subarray(3);
    expect(buildTraining(shared, { loss: 'mse', optimizer: { kind: 'sgd' } })).toEqual(
      buildTraining(model, { loss: 'mse', optimizer: { kind: 'sgd' } }),
    );
  });

  test('keeps metadata of nodes, values, tensors and functions', () => {
    const entry = [{ key: 'pkg.torch', value: 'kept' }];
    const bytes = changed((graph, proto) => {
      graph.metadataProps = entry;
      graph.node![0]!.metadataProps = entry;
      graph.node![0]!.overload = 'o';
      graph.input![0]!.metadataProps = entry;
      graph.initializer![0]!.metadataProps = entry;
      proto.functions = [{ name: 'f', domain: 'd', overload: 'o', metadataProps: entry }];
    });
    const proto = decodeModel(bytes);
    const found = [
      proto.graph,
      proto.graph?.node?.[0],
      proto.graph?.input?.[0],
      proto.graph?.initializer?.[0],
      proto.functions[0],
    ].map((part) => part?.metadataProps?.[0]?.value);
    expect(found).toEqual(['kept', 'kept', 'kept', 'kept', 'kept']);
    expect(encodeModel(proto)).toEqual(bytes);
  });
});

describe('a broken model is refused', () => {
  test('when it is empty, cut off or something else', () => {
    refuses(new Uint8Array(), 'MODEL_UNREADABLE');
    refuses(new TextEncoder().encode('patient,age\n1,2\n'), 'MODEL_UNREADABLE');
    refuses(model.subarray(0, model.length / 2), 'MODEL_UNREADABLE');
  });

  test('when two tensors bear one name', () => {
    refuses(
      changed((graph) => graph.initializer!.push(graph.initializer![0]!)),
      'MODEL_DUPLICATE_NAME',
    );
    refuses(
      changed((graph) => (graph.node![1]!.output = [...graph.node![0]!.output!])),
      'MODEL_DUPLICATE_NAME',
    );
  });

  test('when tensors lie in another file', () => {
    const external = [{ key: 'location', value: '/etc/passwd' }];
    refuses(
      changed((graph) => (graph.initializer![0]!.externalData = external)),
      'MODEL_EXTERNAL_DATA',
    );
  });

  test('when sizes and bytes of a tensor disagree', () => {
    const sizes = (...dims: number[]) =>
      changed((graph) => (graph.initializer![0]!.dims = dims as unknown as never[]));
    refuses(sizes(4), 'MODEL_INVALID');
    refuses(sizes(-4, -3), 'MODEL_INVALID');
    refuses(sizes(2 ** 40, 2 ** 40), 'MODEL_INVALID');
  });

  test('when a node or an output uses what nothing makes', () => {
    refuses(
      changed((graph) => (graph.node = graph.node!.slice(0, 1))),
      'MODEL_INVALID',
    );
    refuses(
      changed((graph) => (graph.node![0]!.input = ['nowhere'])),
      'MODEL_INVALID',
    );
  });

  test('when operands do not fit, naming the node', () => {
    const narrow = changed((graph) => {
      const [first] = graph.input!;
      first!.type!.tensorType!.shape!.dim![1] = { dimValue: 5 as never };
    });
    expect(() => inspectModel(narrow)).toThrow(/node "Gemm_\d+" \(Gemm\)/);
  });

  test('when its operator set is too old or not known', () => {
    const opset = (version: number) =>
      changed((_, proto) => (proto.opsetImport = [{ domain: '', version: version as never }]));
    refuses(opset(5), 'MODEL_UNSUPPORTED_OPSET');
    refuses(opset(99), 'MODEL_UNSUPPORTED_OPSET');
  });

  test('when a weight is not a number or infinite', () => {
    for (const value of [NaN, Infinity]) {
      const spoiled = changed((graph) => {
        const raw = graph.initializer![0]!.rawData!.slice();
        new DataView(raw.buffer).setFloat32(4, value, true);
        graph.initializer![0]!.rawData = raw;
      });
      refuses(spoiled, 'MODEL_NOT_FINITE');
    }
  });

  test('when its nodes form a circle', () => {
    refuses(
      changed((graph) => {
        graph.node![0]!.input![0] = graph.node![1]!.output![0]!;
      }),
      'MODEL_INVALID',
    );
  });

  test('when a node has two attributes of one name', () => {
    refuses(
      changed((graph) => {
        graph.node![0]!.attribute!.push(graph.node![0]!.attribute![0]!);
      }),
      'MODEL_INVALID',
    );
  });

  test('when subgraphs are nested without end', () => {
    // Graph, node, attribute, graph …: each level is a field with the length of what it holds.
    const wrap = (tag: number, inner: Uint8Array): Uint8Array => {
      const length: number[] = [];
      for (let rest = inner.length; length.length === 0 || rest > 0; rest >>>= 7) {
        length.push((rest & 127) | (rest > 127 ? 128 : 0));
      }
      return Uint8Array.from([tag, ...length, ...inner]);
    };
    let graph: Uint8Array = new Uint8Array();
    for (let depth = 0; depth < 400; depth++) graph = wrap(0x0a, wrap(0x2a, wrap(0x32, graph)));
    refuses(wrap(0x3a, graph), 'MODEL_UNREADABLE');
  });

  test('when a length of the file promises more than follows', () => {
    const bomb = Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x07);
    refuses(bomb, 'MODEL_UNREADABLE');
    refuses(Uint8Array.from([...model, ...bomb]), 'MODEL_UNREADABLE');
  });

  test('when a weight is of half precision', () => {
    const half = changed((graph) => {
      const tensor = graph.initializer![0]!;
      tensor.dataType = 10;
      tensor.rawData = tensor.rawData!.subarray(0, tensor.rawData!.length / 2);
    });
    refuses(half, 'MODEL_PARAMETER_NOT_FLOAT');
  });
});

describe('whatever the bytes are, the answer is a report or a coded error', () => {
  const answers = (bytes: Uint8Array): boolean => {
    try {
      inspectModel(bytes);
      return true;
    } catch (error) {
      return isMedleyError(error) && error.code !== 'INTERNAL';
    }
  };

  test('for any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), answers), { numRuns: 300, seed: 1 });
  });

  test('for a model cut off anywhere', () => {
    for (let end = 0; end < model.length; end++) expect(answers(model.subarray(0, end))).toBe(true);
  });

  test('for a model with bytes changed', () => {
    const change = fc.tuple(fc.nat(model.length - 1), fc.nat(255));
    const property = fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      const bytes = model.slice();
      for (const [at, value] of changes) bytes[at] = value;
      return answers(bytes);
    });
    fc.assert(property, { numRuns: 2000, seed: 2 });
  });
});
