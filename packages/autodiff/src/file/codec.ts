import { MedleyError } from '@medley/kit';
import protobuf from 'protobufjs/minimal.js';
import { onnx } from '../generated/onnx.js';

/** Protocol Buffers stop at 2 GiB; half of that leaves room for what training adds. */
export const MAX_BYTES = 2 ** 30;

/**
 * Decodes an ONNX file. The result may hold views onto `bytes`: do not change them afterwards.
 *
 * This is the one place where bytes of unknown origin become a model: whatever they are, it gives a
 * ModelProto with a graph, or throws MODEL_UNREADABLE or MODEL_TOO_LARGE.
 */
export function decodeModel(bytes: Uint8Array): onnx.ModelProto {
  if (bytes.length > MAX_BYTES) {
    throw new MedleyError(
      'MODEL_TOO_LARGE',
      `the model has ${bytes.length} bytes, at most ${MAX_BYTES} are read`,
    );
  }
  let model: onnx.ModelProto;
  try {
    // A plain view, so that parts of it are plain too: slices of a Buffer would share its memory.
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    model = onnx.ModelProto.decode(protobuf.Reader.create(view));
  } catch (cause) {
    // Also a RangeError by nesting that is deeper than the stack.
    throw new MedleyError('MODEL_UNREADABLE', 'the bytes are not a whole ONNX protobuf message', {
      cause,
    });
  }
  const graph = model.graph;
  if (graph === null || graph === undefined || (graph.node ?? []).length === 0) {
    throw new MedleyError('MODEL_UNREADABLE', 'the message holds no graph with nodes');
  }
  if (model.opsetImport.length === 0) {
    throw new MedleyError('MODEL_UNREADABLE', 'the message names no operator set');
  }
  return model;
}

/** Encodes a model; the same model gives the same bytes. */
export function encodeModel(model: onnx.IModelProto): Uint8Array {
  return new Uint8Array(onnx.ModelProto.encode(model).finish());
}

/** A 64-bit integer of the file as a number. Throws MODEL_INVALID beyond 2^53. */
export function safeInteger(value: { toNumber(): number } | number, where: string): number {
  const number = typeof value === 'number' ? value : value.toNumber();
  if (!Number.isSafeInteger(number)) {
    throw new MedleyError('MODEL_INVALID', `${where} is beyond what can be counted`);
  }
  return number;
}
