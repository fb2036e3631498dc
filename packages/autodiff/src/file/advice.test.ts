import { describe, expect, test } from '@jest/globals';
import { inspectModel } from '../inspect.ts';
import { buildMlp } from '../mlp.ts';
import { decodeModel, encodeModel } from './codec.ts';
import { warningsOf } from './advice.ts';

const mlp = buildMlp({ features: 3, hidden: [4], outputs: 2, activation: 'relu', seed: 'w' });

/** What is said of a file with these nodes. */
function said(version: string, ops: readonly string[], name = 'node_', outputs = 1) {
  const proto = decodeModel(mlp);
  proto.producerName = 'pytorch';
  proto.producerVersion = version;
  proto.graph!.node = ops.map((opType, i) => ({
    opType,
    name: `${name}${i}`,
    output: Array.from({ length: outputs }, (_, at) => `${i}.${at}`),
  }));
  return warningsOf(proto).map(({ kind }) => kind);
}

/** What is said of a convolution whose exporter lists these names, with a tensor that was made of others. */
function toldOf(
  code: Readonly<Record<string, string>>,
  name = 'c.weight',
  madeOf: readonly string[] = [],
) {
  const proto = decodeModel(mlp);
  proto.producerName = 'pytorch';
  proto.producerVersion = '2.13.0';
  const graph = proto.graph!;
  graph.node = [{ opType: 'Conv', name: 'node_0', input: ['x', name], output: ['y'] }];
  graph.initializer = [{ ...graph.initializer![0]!, name }];
  graph.metadataProps = [
    {
      key: 'pkg.torch.export.ExportedProgram.graph_signature',
      value: Object.entries(code)
        .map(([target, kind]) => `p_x: ${kind} target='${target}'`)
        .join('\n'),
    },
  ];
  const value = `[${madeOf.map((part) => `'${part}'`).join(', ')}]`;
  const key = 'pkg.onnxscript.optimizer.folded_from';
  graph.valueInfo = madeOf.length > 0 ? [{ name, metadataProps: [{ key, value }] }] : [];
  return warningsOf(proto).map(({ kind }) => kind);
}

describe('a warning', () => {
  test('says that BatchNormalization may have been folded', () => {
    expect(said('2.13.0+cpu', ['Conv', 'Relu'])).toEqual(['batchNormFolded']);
    expect(said('2.5.1', ['Conv', 'Relu'])).toEqual(['batchNormFolded']);
  });

  test('is not given where it cannot be so', () => {
    expect(said('2.4.0', ['Conv', 'Relu'])).toEqual([]);
    expect(said('2.13.0', ['Gemm', 'Relu'])).toEqual([]);
    expect(said('2.13.0', ['Conv', 'InstanceNormalization'])).toEqual([]);
    expect(said('2.13.0', ['Conv', 'BatchNormalization'], 'node_', 3)).toEqual([]);
    expect(said('2.13.0', ['Conv', 'Relu'], '/layer/')).toEqual([]);
  });

  test('says that TorchScript has folded it, which its names of weights show', () => {
    const proto = decodeModel(mlp);
    const [node] = proto.graph!.node!;
    proto.graph!.node = [
      { ...node!, opType: 'Conv', input: ['x', 'onnx::Conv_25', 'onnx::Conv_26'] },
    ];
    expect(warningsOf(proto).map(({ kind }) => kind)).toEqual(['batchNormFolded']);
    proto.graph!.node = [{ ...node!, opType: 'Conv', input: ['x', 'layer.weight'] }];
    expect(warningsOf(proto)).toEqual([]);
  });

  test('says it for certain where the exporter lists the statistics that the file lacks', () => {
    expect(toldOf({ 'c.weight': 'PARAMETER', 'n.running_mean': 'BUFFER' })).toEqual([
      'batchNormFolded',
    ]);
    expect(toldOf({ 'c.weight': 'PARAMETER' })).toEqual([]);
  });

  test('says that a weight was replaced by what was computed of it', () => {
    const code = { t: 'PARAMETER', 'r.weight': 'PARAMETER' };
    expect(toldOf(code, 'exp', ['t', 'val_1'])).toEqual(['weightsFolded']);
    expect(toldOf(code, 'val_3', ['r.weight'])).toEqual([]);
    expect(toldOf(code, 'unsqueeze_1', ['t'])).toEqual([]);
    expect(toldOf(code, 'exp', ['full'])).toEqual([]);
  });

  test('says that one weight has become two', () => {
    const proto = decodeModel(mlp);
    const bytes = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
    const tensor = (name: string, dims: number[], rawData: Uint8Array) => ({
      name,
      dims: dims as never,
      dataType: 1,
      rawData,
    });
    const table = tensor('table.weight', [2, 3], bytes(1, 2, 3, 4, 5, 6));
    proto.graph!.initializer = [table, tensor('onnx::MatMul_7', [3, 2], bytes(1, 4, 2, 5, 3, 6))];
    expect(warningsOf(proto).map(({ kind }) => kind)).toEqual(['weightsUntied']);
    proto.graph!.initializer = [table, tensor('onnx::MatMul_7', [3, 2], bytes(1, 4, 2, 5, 3, 7))];
    expect(warningsOf(proto)).toEqual([]);
  });

  test('says that numbers are drawn where no seed decides them', () => {
    expect(said('1.13', ['Multinomial'])).toEqual(['drawsInRuntime']);
    expect(said('1.13', ['RandomNormalLike', 'Bernoulli'])).toEqual([]);
    const proto = decodeModel(mlp);
    const body = { node: [{ opType: 'RandomUniform', output: ['r'] }] };
    proto.graph!.node!.push({ opType: 'If', attribute: [{ name: 'then_branch', g: body }] });
    expect(warningsOf(proto).map(({ kind }) => kind)).toEqual(['drawsInRuntime']);
  });

  test('says that statistics are kept', () => {
    expect(said('1.13', ['Conv', 'BatchNormalization'])).toEqual(['batchNormFrozen']);
  });

  test('stands in the report', () => {
    expect(inspectModel(mlp).warnings).toEqual([]);
    expect(inspectModel(encodeModel(decodeModel(mlp))).warnings).toEqual([]);
  });
});
