import { describe, expect, test } from '@jest/globals';
import { gradient } from '../gradient.ts';
import { onnx as schema, type onnx } from '../generated/onnx.js';
import { Builder } from '../graph/builder.ts';
import { floatTensor } from '../graph/tensor.ts';
import { inspectModel } from '../inspect.ts';
import { readModel } from '../model.ts';
import { infer } from '../ops/registry.ts';
import { compileTraining } from '../standard/compile.ts';
import { Session } from '../session.ts';
import { decodeModel, encodeModel } from './codec.ts';
import { writeModel } from './writer.ts';

const domain = 'medley.test';
const { FLOAT, INTS, STRING, STRINGS } = schema.AttributeProto.AttributeType;
const version = (number: number) => [{ domain: '', version: number as never }];
const node = (opType: string, input: string[], output: string[], more: onnx.INodeProto = {}) => ({
  opType,
  input,
  output,
  ...more,
});

/** y = F(x, w) with the functions given; `call` changes the call. */
function modelWith(functions: readonly onnx.IFunctionProto[], call: onnx.INodeProto = {}) {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', [2, 3]);
  const w = b.constant(floatTensor([3], [1, -2, 3]), 'w');
  const y = b.op('Mul', [x, w], {}, 'y');
  const proto = decodeModel(writeModel(b.graph('calls', [y]), { producer: 'test', version: '1' }));
  proto.graph!.node = [node('F', ['x', 'w'], ['y'], { domain, name: 'call', ...call })];
  proto.opsetImport.push({ domain, version: 1 as never });
  proto.functions = functions.map((entry) => ({ domain, opsetImport: version(18), ...entry }));
  return encodeModel(proto);
}

async function run(bytes: Uint8Array, name = 'y') {
  const session = await Session.open(bytes);
  const data = Float32Array.of(0.5, -1, 2, 1, 0, -0.3);
  const results = await session.run({ x: { dtype: 'float32', dims: [2, 3], data } }, [name]);
  await session.close();
  return [...(results[name]!.data as Float32Array)];
}

const attribute = (name: string, refAttrName: string): onnx.IAttributeProto => ({
  name,
  refAttrName,
  type: FLOAT,
});

/** LeakyRelu(x) · w, with the slope from the call or 0.5. */
const leaky: onnx.IFunctionProto = {
  name: 'F',
  input: ['a', 'b'],
  output: ['c'],
  attributeProto: [{ name: 'slope', type: FLOAT, f: 0.5 }],
  node: [
    node('LeakyRelu', ['a'], ['h'], { attribute: [attribute('alpha', 'slope')] }),
    node('Mul', ['h', 'b'], ['c']),
  ],
};

describe('functions of a model', () => {
  test('become their nodes, with attributes of the call or their defaults', async () => {
    for (const call of [{}, { attribute: [{ name: 'slope', type: FLOAT, f: 0.25 }] }]) {
      const bytes = modelWith([leaky], call);
      expect(inspectModel(bytes)).toMatchObject({ unsupported: [], parameterCount: 3 });
      const expected = await run(bytes);
      expect(await run(gradient(bytes, ['y'], ['w']))).toEqual(expected);
    }
  });

  test('may call each other, at operator sets of their own', async () => {
    const outer: onnx.IFunctionProto = {
      name: 'F',
      input: ['a', 'b'],
      output: ['d'],
      opsetImport: [...version(18), { domain, version: 1 as never }],
      node: [node('G', ['a'], ['h'], { domain }), node('Mul', ['h', 'b'], ['d'])],
    };
    const inner: onnx.IFunctionProto = {
      name: 'G',
      input: ['h'],
      output: ['r'],
      opsetImport: version(11),
      node: [
        node('ReduceMean', ['h'], ['m'], {
          attribute: [{ name: 'axes', type: INTS, ints: [1 as never] }],
        }),
        node('Sub', ['h', 'm'], ['r']),
      ],
    };
    const found = await run(gradient(modelWith([outer, inner]), ['y'], ['w']));
    const means = [0.5, 0.7 / 3];
    const rows = [0.5, -1, 2, 1, 0, -0.3].map(
      (x, i) => (x - means[Math.floor(i / 3)]!) * [1, -2, 3][i % 3]!,
    );
    found.forEach((value, i) => expect(value).toBeCloseTo(rows[i]!, 5));
  });

  test('are opened where training operators are compiled, with the values a Gradient names', async () => {
    const bytes = (...values: string[]) => values.map((value) => new TextEncoder().encode(value));
    const square: onnx.IFunctionProto = {
      name: 'F',
      input: ['a', 'b'],
      output: ['g'],
      node: [
        node('Mul', ['a', 'b'], ['h']),
        node('Mul', ['h', 'h'], ['s']),
        node('Gradient', ['a', 'b'], ['g'], {
          domain: 'ai.onnx.preview.training',
          attribute: [
            { name: 'xs', type: STRINGS, strings: bytes('a') },
            { name: 'zs', type: STRINGS, strings: bytes('b') },
            { name: 'y', type: STRING, s: bytes('s')[0]! },
          ],
        }),
      ],
    };
    const found = await run(compileTraining(modelWith([square])));
    const expected = [0.5, -1, 2, 1, 0, -0.3].map((x, i) => 2 * x * [1, -2, 3][i % 3]! ** 2);
    found.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5));
  });

  test('of one name are told apart by overload', () => {
    const other = { ...leaky, overload: 'second', node: [node('Add', ['a', 'b'], ['c'])] };
    const { graph } = readModel(modelWith([leaky, other], { overload: 'second' }));
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Add']);
    expect(() => readModel(modelWith([leaky, leaky]))).toThrow(
      expect.objectContaining({ code: 'MODEL_DUPLICATE_NAME' }),
    );
  });

  test('that call themselves are refused, and those that grow without bound', () => {
    const F = (calls: string[]): onnx.IFunctionProto => ({
      name: 'F',
      input: ['a', 'b'],
      output: ['o0'],
      node: calls.map((op, i) => node(op, ['a', 'b'], [`o${i}`], { domain })),
    });
    expect(() => readModel(modelWith([F(['F'])]))).toThrow(
      expect.objectContaining({ code: 'MODEL_INVALID' }),
    );
    const many = Array.from({ length: 20 }, (_, i) => ({
      ...F([`G${i}`, `G${i}`, `G${i}`]),
      name: i === 0 ? 'F' : `G${i - 1}`,
    }));
    const last = { ...leaky, name: 'G19' };
    expect(() => readModel(modelWith([...many, last]))).toThrow(
      expect.objectContaining({ code: 'MODEL_TOO_LARGE' }),
    );
  });
});
