import type { onnx } from '../generated/onnx.js';
import { encodeModel } from './codec.ts';
import { dtypeCode } from '../graph/dtype.ts';
import type { Attribute, Graph, Node, Value } from '../graph/graph.ts';
import type { Tensor } from '../graph/tensor.ts';

/** Operator set and file version of everything this package writes. */
export const OPSET = 18;
export const IR_VERSION = 8;

/** The writer of protobufjs takes plain numbers wherever its types say Long or an enum. */
type Wire<T> = T extends number | { toNumber(): number }
  ? number
  : T extends Uint8Array
    ? T
    : T extends readonly (infer E)[]
      ? Wire<E>[]
      : T extends object
        ? { [K in keyof T]: Wire<T[K]> }
        : T;

export type NodeProto = Wire<onnx.INodeProto>;
export type TensorProto = Wire<onnx.ITensorProto>;

/** A whole model file around `graph`. */
export function writeModel(
  graph: Graph,
  options: {
    readonly producer: string;
    readonly version: string;
    readonly domains?: readonly string[];
  },
): Uint8Array {
  const model: Wire<onnx.IModelProto> = {
    irVersion: IR_VERSION,
    producerName: options.producer,
    producerVersion: options.version,
    graph: writeGraph(graph),
    opsetImport: [
      { domain: '', version: OPSET },
      ...(options.domains ?? []).map((domain) => ({ domain, version: 1 })),
    ],
  };
  return encodeModel(model as unknown as onnx.IModelProto);
}

export function writeTensor(name: string, tensor: Tensor): TensorProto {
  return { dims: [...tensor.dims], dataType: dtypeCode(tensor.dtype), name, rawData: tensor.bytes };
}

function writeGraph(graph: Graph): Wire<onnx.IGraphProto> {
  return {
    node: graph.nodes.map(writeNode),
    name: graph.name === '' ? 'graph' : graph.name,
    initializer: [...graph.initializers].map(([name, tensor]) => writeTensor(name, tensor)),
    input: graph.inputs.map(writeValue),
    output: graph.outputs.map(writeValue),
  };
}

/** One node in the form of the file. */
export function writeNode(node: Node): NodeProto {
  return {
    input: [...node.inputs],
    output: [...node.outputs],
    name: node.name,
    opType: node.op,
    ...(node.domain === '' ? {} : { domain: node.domain }),
    attribute: [...node.attributes].map(([name, attribute]) => writeAttribute(name, attribute)),
  };
}

function writeAttribute(name: string, attribute: Attribute): Wire<onnx.IAttributeProto> {
  const encoder = new TextEncoder();
  switch (attribute.kind) {
    case 'float':
      return { name, f: attribute.value, type: 1 };
    case 'int':
      return { name, i: attribute.value, type: 2 };
    case 'string':
      return { name, s: encoder.encode(attribute.value), type: 3 };
    case 'tensor':
      return { name, t: writeTensor('', attribute.value), type: 4 };
    case 'graph':
      return { name, g: writeGraph(attribute.value), type: 5 };
    case 'floats':
      return { name, floats: [...attribute.value], type: 6 };
    case 'ints':
      return { name, ints: [...attribute.value], type: 7 };
    case 'strings':
      return { name, strings: attribute.value.map((value) => encoder.encode(value)), type: 8 };
    case 'opaque':
      return { name };
  }
}

function writeValue(value: Value): Wire<onnx.IValueInfoProto> {
  return {
    name: value.name,
    type: {
      tensorType: {
        elemType: value.dtype === undefined ? 0 : dtypeCode(value.dtype),
        ...(value.shape === undefined
          ? {}
          : {
              shape: {
                dim: value.shape.map((dim) =>
                  typeof dim === 'number'
                    ? { dimValue: dim }
                    : dim.startsWith('?')
                      ? {}
                      : { dimParam: dim },
                ),
              },
            }),
      },
    },
  };
}
