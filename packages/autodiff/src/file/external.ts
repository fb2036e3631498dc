import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { isMedleyError, MedleyError } from '@medley/kit';
import { onnx } from '../generated/onnx.js';
import { MAX_BYTES, decodeModel, encodeModel } from './codec.ts';

/** A part of a file beside the model: `length` undefined means to its end. */
export interface ExternalPart {
  readonly location: string;
  readonly offset: number;
  readonly length: number | undefined;
}

/**
 * The model with all tensors inside. `read` gives the bytes of a part; it decides which locations it
 * trusts. Everything else of the package reads such models only, so that one hash covers all weights.
 *
 * Throws MODEL_UNREADABLE, MODEL_EXTERNAL_DATA for entries that contradict themselves, MODEL_TOO_LARGE,
 * and what `read` throws.
 */
export function embedExternalData(
  bytes: Uint8Array,
  read: (part: ExternalPart) => Uint8Array,
): Uint8Array {
  const proto = decodeModel(bytes);
  const tensors = [...tensorsOf(proto.graph!), ...proto.functions.flatMap((f) => inNodes(f.node))];
  let total = bytes.length;
  let isChanged = false;
  for (const tensor of tensors) {
    if (tensor.dataLocation !== onnx.TensorProto.DataLocation.EXTERNAL) continue;
    const part = partOf(tensor);
    total += part.length ?? 0;
    if (total > MAX_BYTES) throw tooLarge();
    const data = read(part);
    if (part.length === undefined) total += data.length;
    if (total > MAX_BYTES) throw tooLarge();
    tensor.rawData = data;
    tensor.externalData = [];
    tensor.dataLocation = onnx.TensorProto.DataLocation.DEFAULT;
    isChanged = true;
  }
  return isChanged ? encodeModel(proto) : bytes;
}

/**
 * Reads a model file with the files beside it that hold its tensors, as one self-contained model. Such
 * files must lie in the model's folder or below it.
 *
 * Throws MODEL_EXTERNAL_DATA for a location that is absolute, climbs out (also through a symbolic
 * link), does not exist or is shorter than the model says, what {@link embedExternalData} throws, and
 * FILE_UNREADABLE when the model itself cannot be read.
 */
export function readModelFile(path: string): Uint8Array {
  const unreadable = (reason: string, cause?: unknown): MedleyError =>
    new MedleyError('FILE_UNREADABLE', `${path} ${reason}`, { cause });
  let folder: string;
  let bytes: Uint8Array;
  try {
    folder = realpathSync(dirname(path));
    bytes = readPart(path, 0, undefined, unreadable);
  } catch (cause) {
    throw isMedleyError(cause) ? cause : unreadable('cannot be read', cause);
  }
  return embedExternalData(bytes, (part) => readBeside(folder, part));
}

function readBeside(folder: string, { location, offset, length }: ExternalPart): Uint8Array {
  const refused = (reason: string, cause?: unknown): MedleyError =>
    new MedleyError('MODEL_EXTERNAL_DATA', `the tensors' file "${location}" ${reason}`, { cause });
  if (
    location === '' ||
    location.includes('\0') ||
    isAbsolute(location) ||
    /^[a-z]:|\\/i.test(location)
  ) {
    throw refused('is not named relative to the model');
  }
  let target: string;
  try {
    target = realpathSync(resolve(folder, location));
  } catch (cause) {
    throw refused('is not there', cause);
  }
  if (!target.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
    throw refused("is outside the model's folder");
  }
  return readPart(target, offset, length, refused);
}

/** Reads a regular file, whole or in part; never more memory than the file has bytes. */
function readPart(
  path: string,
  offset: number,
  length: number | undefined,
  refused: (reason: string) => Error,
): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const stat = fstatSync(file);
    const wanted = length ?? stat.size - offset;
    if (!stat.isFile()) throw refused('is no file');
    if (wanted < 0 || offset + wanted > stat.size) throw refused('is shorter than the model says');
    if (wanted > MAX_BYTES) throw tooLarge();
    const bytes = new Uint8Array(wanted);
    let done = 0;
    while (done < wanted) {
      const got = readSync(file, bytes, done, wanted - done, offset + done);
      if (got === 0) throw refused('became shorter while it was read');
      done += got;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

function tooLarge(): MedleyError {
  return new MedleyError('MODEL_TOO_LARGE', `the model takes more than ${MAX_BYTES} bytes`);
}

function partOf(tensor: onnx.ITensorProto): ExternalPart {
  const entries = new Map((tensor.externalData ?? []).map(({ key, value }) => [key, value ?? '']));
  const number = (key: string): number | undefined => {
    const value = entries.get(key);
    if (value === undefined) return undefined;
    const parsed = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
    if (Number.isNaN(parsed)) {
      throw new MedleyError(
        'MODEL_EXTERNAL_DATA',
        `the ${key} of "${tensor.name ?? ''}" is no whole number`,
      );
    }
    return parsed;
  };
  const location = entries.get('location') ?? '';
  return { location, offset: number('offset') ?? 0, length: number('length') };
}

function tensorsOf(graph: onnx.IGraphProto): readonly onnx.ITensorProto[] {
  return [...(graph.initializer ?? []), ...inNodes(graph.node)];
}

function inNodes(nodes: onnx.INodeProto[] | null | undefined): readonly onnx.ITensorProto[] {
  return (nodes ?? []).flatMap((node) =>
    (node.attribute ?? []).flatMap(({ t, tensors, g, graphs }) => [
      ...(t ? [t] : []),
      ...(tensors ?? []),
      ...(g ? tensorsOf(g) : []),
      ...(graphs ?? []).flatMap(tensorsOf),
    ]),
  );
}
