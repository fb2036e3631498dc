import {
  MedleyError,
  canonicalBytes,
  checkSchema,
  equalBytes,
  sha256,
  toHex,
  type JsonSchema,
} from '@medley/kit';
import { requireLittleEndian } from '@medley/secagg';

/** Per encoded column: `(x − mean) / scale`. Columns left alone have mean 0 and scale 1. */
export interface Standardisation {
  readonly mean: Float64Array;
  /** Above zero. */
  readonly scale: Float64Array;
}

/** What a round starts from and ends with. */
export interface ModelState {
  /** Every trainable parameter, in the graph's order, flattened. */
  readonly parameters: Float32Array;
  /** Null until the statistics round is done, and for studies that do not standardise. */
  readonly standardisation: Standardisation | null;
  /** The model before the last update, where the study has gates: what they go back to. */
  readonly previous?: PreviousModel;
}

/** A model that was good, with its figures on the test rows; null where there were none. */
export interface PreviousModel {
  /** As many as the state has. */
  readonly parameters: Float32Array;
  readonly loss: number | null;
  readonly auc: number | null;
}

interface Header {
  readonly parameters: number;
  readonly standardisation: { readonly mean: number[]; readonly scale: number[] } | null;
  readonly previous?: { readonly loss: number | null; readonly auc: number | null };
}

const MAGIC = new TextEncoder().encode('MDLY1');
const MAX_HEADER_BYTES = 1 << 20;
/** One GiB of float32: far above what a masked sum is sensible for. */
const MAX_PARAMETERS = 2 ** 28;

const numbers: JsonSchema = { type: 'array', items: { type: 'number' }, maxItems: 65_536 };
const HEADER_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['parameters', 'standardisation'],
  properties: {
    parameters: { type: 'integer', minimum: 0, maximum: MAX_PARAMETERS },
    standardisation: {
      type: ['object', 'null'],
      additionalProperties: false,
      required: ['mean', 'scale'],
      properties: { mean: numbers, scale: numbers },
    },
    previous: {
      type: 'object',
      additionalProperties: false,
      required: ['loss', 'auc'],
      properties: { loss: { type: ['number', 'null'] }, auc: { type: ['number', 'null'] } },
    },
  },
};

/**
 * The one byte form of a state: `MDLY1`, header length as uint32, canonical JSON header, parameters
 * as float32, then those of the previous model if there is one; integers and floats little-endian.
 * Throws MODEL_STATE_INVALID for NaN or Infinity.
 */
export function encodeModelState(state: ModelState): Uint8Array {
  checkState(state);
  const { parameters, standardisation, previous } = state;
  const blocks = previous ? [parameters, previous.parameters] : [parameters];
  const header = canonicalBytes({
    parameters: parameters.length,
    standardisation: standardisation && {
      mean: Array.from(standardisation.mean),
      scale: Array.from(standardisation.scale),
    },
    ...(previous && { previous: { loss: previous.loss, auc: previous.auc } }),
  });
  const size = 4 * parameters.length;
  const bytes = new Uint8Array(MAGIC.length + 4 + header.length + blocks.length * size);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(MAGIC.length, header.length, true);
  bytes.set(header, MAGIC.length + 4);
  const start = MAGIC.length + 4 + header.length;
  requireLittleEndian();
  blocks.forEach((block, i) => {
    bytes.set(new Uint8Array(block.buffer, block.byteOffset, size), start + i * size);
  });
  return bytes;
}

/**
 * Reads what {@link encodeModelState} wrote and nothing else; the arrays are the caller's. Throws
 * MODEL_STATE_INVALID for any other bytes, among them NaN and Infinity.
 */
export function decodeModelState(bytes: Uint8Array): ModelState {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerAt = MAGIC.length + 4;
  if (bytes.length < headerAt || !equalBytes(bytes.slice(0, MAGIC.length), MAGIC)) {
    throw new MedleyError('MODEL_STATE_INVALID', 'the bytes do not start as a model state');
  }
  const headerLength = view.getUint32(MAGIC.length, true);
  if (headerLength > MAX_HEADER_BYTES || headerAt + headerLength > bytes.length) {
    throw new MedleyError('MODEL_STATE_INVALID', 'the header is longer than the bytes');
  }
  const header = readHeader(bytes.slice(headerAt, headerAt + headerLength));
  const start = headerAt + headerLength;
  const size = 4 * header.parameters;
  if (bytes.length !== start + (header.previous ? 2 : 1) * size) {
    throw new MedleyError('MODEL_STATE_INVALID', 'length and parameter count disagree');
  }
  requireLittleEndian();
  const blockAt = (at: number): Float32Array => {
    const block = new Float32Array(header.parameters);
    new Uint8Array(block.buffer).set(bytes.subarray(at, at + size));
    return block;
  };
  const state: ModelState = {
    parameters: blockAt(start),
    ...(header.previous && {
      previous: { ...header.previous, parameters: blockAt(start + size) },
    }),
    standardisation: header.standardisation && {
      mean: Float64Array.from(header.standardisation.mean),
      scale: Float64Array.from(header.standardisation.scale),
    },
  };
  checkState(state);
  return state;
}

/** Lower-case hex SHA-256 of an encoded state: what rounds, receipts and sessions call `modelHash`. */
export function modelStateHash(bytes: Uint8Array): string {
  return toHex(sha256(bytes));
}

/**
 * Rows as the model reads them, `[rows, columns]` row-major float32, owned by the caller: encoded
 * rows standardised by the state (as they are when it has none). Throws MODEL_STATE_INVALID when the
 * widths disagree.
 */
export function modelInput(
  standardisation: Standardisation | null,
  rows: readonly Float64Array[],
): Float32Array {
  const columns = rows[0]?.length ?? 0;
  const input = new Float32Array(rows.length * columns);
  rows.forEach((row, r) => {
    if (row.length !== columns || (standardisation && standardisation.mean.length !== columns)) {
      throw new MedleyError('MODEL_STATE_INVALID', `row of ${row.length} columns, not ${columns}`);
    }
    for (let c = 0; c < columns; c++) {
      input[r * columns + c] = standardisation
        ? (row[c]! - standardisation.mean[c]!) / standardisation.scale[c]!
        : row[c]!;
    }
  });
  return input;
}

function readHeader(bytes: Uint8Array): Header {
  let value: unknown;
  let canonical: Uint8Array;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    canonical = canonicalBytes(value);
  } catch (cause) {
    throw new MedleyError('MODEL_STATE_INVALID', 'the header is not canonical JSON', { cause });
  }
  checkSchema(value, HEADER_SCHEMA, 'MODEL_STATE_INVALID');
  // One state, one byte form: otherwise two hashes would name the same model.
  if (!equalBytes(canonical, bytes)) {
    throw new MedleyError('MODEL_STATE_INVALID', 'the header is not canonical JSON');
  }
  return value as Header;
}

function checkState({ parameters, standardisation, previous }: ModelState): void {
  checkFinite(parameters);
  if (previous) {
    checkFinite(previous.parameters);
    if (previous.parameters.length !== parameters.length) {
      throw new MedleyError('MODEL_STATE_INVALID', 'the previous model has another length');
    }
  }
  if (!standardisation) return;
  const { mean, scale } = standardisation;
  const isSound =
    mean.length === scale.length &&
    mean.every((value) => Number.isFinite(value)) &&
    scale.every((value) => Number.isFinite(value) && value > 0);
  if (!isSound) {
    throw new MedleyError(
      'MODEL_STATE_INVALID',
      'standardisation needs finite means and positive scales',
    );
  }
}

function checkFinite(parameters: Float32Array): void {
  for (let at = 0; at < parameters.length; at++) {
    if (!Number.isFinite(parameters[at])) {
      throw new MedleyError('MODEL_STATE_INVALID', `parameter ${at} is not finite`);
    }
  }
}
