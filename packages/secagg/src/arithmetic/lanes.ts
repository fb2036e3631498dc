/** Words of a piece: 64 KiB, so that piece, addend and keystream stay in the second-level cache. */
export const PIECE_WORDS = 16_384;
const PIECE_BYTES = 4 * PIECE_WORDS;

/**
 * Adds vectors of 32-bit words, mod 2^32, one piece of at most {@link PIECE_WORDS} words at a time.
 * The caller puts the first `n` bytes into `piece`, adds and subtracts as often as it likes, and takes
 * them out again before anybody else uses the same lanes: no waiting in between.
 */
export interface Lanes {
  /** {@link PIECE_WORDS} words, little-endian. */
  readonly piece: Uint8Array;
  /** Adds as many bytes (a multiple of 4) to the start of the piece. */
  readonly add: (words: Uint8Array) => void;
  readonly subtract: (words: Uint8Array) => void;
}

/** The lanes of this thread: those of the vector unit where there is one. */
export const threadLanes: () => Lanes = once(() => vectorLanes() ?? plainLanes());

/** Lanes in plain JavaScript. */
export function plainLanes(): Lanes {
  const piece = new Uint8Array(PIECE_BYTES);
  const sum = new Int32Array(piece.buffer);
  return {
    piece,
    add: (bytes) => {
      const words = asWords(bytes);
      for (let i = 0; i < words.length; i++) sum[i] = (sum[i]! + words[i]!) | 0;
    },
    subtract: (bytes) => {
      const words = asWords(bytes);
      for (let i = 0; i < words.length; i++) sum[i] = (sum[i]! - words[i]!) | 0;
    },
  };
}

/**
 * Lanes of 16 words at a time in WebAssembly SIMD (core specification 2.0, vector instructions);
 * undefined where the engine has none. docs/decisions/0015 has the figures.
 */
export function vectorLanes(): Lanes | undefined {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Wasm | undefined };
  const code = kernel();
  if (WebAssembly?.validate(code) !== true) return undefined;
  // A piece and its addend, 64 KiB each: one page of WebAssembly memory is 64 KiB.
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
  const module = new WebAssembly.Module(code);
  const { exports } = new WebAssembly.Instance(module, { kernel: { memory } });
  const addend = new Uint8Array(memory.buffer, PIECE_BYTES);
  // What stands beyond the last byte of a short addend is of an earlier one: it changes only words
  // of the piece that the caller does not take out.
  const run = (operate: Kernel) => (words: Uint8Array) => {
    addend.set(words);
    operate(0, PIECE_BYTES, words.length);
  };
  const piece = new Uint8Array(memory.buffer, 0, PIECE_BYTES);
  return { piece, add: run(exports.add), subtract: run(exports.subtract) };
}

/** `at`, `with`: byte offsets of piece and addend; `end`: where the piece ends, rounded up to 64. */
type Kernel = (at: number, addend: number, end: number) => void;

/** The part of the engine's interface that is used; the compiler's library has it for browsers only. */
interface Wasm {
  validate(code: Uint8Array): boolean;
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => {
    readonly buffer: ArrayBuffer;
  };
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: { readonly add: Kernel; readonly subtract: Kernel } };
}

// Opcodes: WebAssembly core specification 2.0, section 5.4.
const [LOOP, END, BR_IF, NO_TYPE] = [0x03, 0x0b, 0x0d, 0x40];
const [LOCAL_GET, LOCAL_SET, I32_CONST, I32_ADD, I32_LT_U] = [0x20, 0x21, 0x41, 0x6a, 0x49];
const [SIMD, LOAD, STORE, I32X4_ADD, I32X4_SUB] = [0xfd, 0x00, 0x0b, 0xae, 0xb1];
const [AT, WITH, LAST] = [0, 1, 2];
const ALIGNED_16 = 4;
/** 64 as a signed LEB128 number of two bytes. */
const STRIDE = [0xc0, 0x00];

/**
 * A module with two functions (at, with, end), which do for each 64 bytes from `at` to `end`
 *
 *     v128.store at (i32x4.add (v128.load at) (v128.load with))       four times, then at, with += 64
 *
 * and the same with i32x4.sub.
 */
function kernel(): Uint8Array {
  const section = (id: number, content: readonly number[]): number[] => [
    id,
    ...unsigned(content.length),
    ...content,
  ];
  const name = (text: string): number[] => [text.length, ...Buffer.from(text)];
  const [i32, func, memory] = [0x7f, 0x60, 0x02];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, func, 3, i32, i32, i32, 0]),
    ...section(2, [1, ...name('kernel'), ...name('memory'), memory, 1, 2, 2]),
    ...section(3, [2, 0, 0]),
    ...section(7, [2, ...name('add'), 0, 0, ...name('subtract'), 0, 1]),
    ...section(10, [2, ...sized(strides(I32X4_ADD)), ...sized(strides(I32X4_SUB))]),
  ]);
}

function strides(operation: number): number[] {
  const load = (base: number, offset: number): number[] => {
    return [LOCAL_GET, base, SIMD, LOAD, ALIGNED_16, offset];
  };
  const lane = (offset: number): number[] => [
    ...[LOCAL_GET, AT, ...load(AT, offset), ...load(WITH, offset)],
    ...[SIMD, ...unsigned(operation), SIMD, STORE, ALIGNED_16, offset],
  ];
  const advance = (base: number): number[] => {
    return [LOCAL_GET, base, I32_CONST, ...STRIDE, I32_ADD, LOCAL_SET, base];
  };
  const noLocals = 0;
  return [
    ...[noLocals, LOOP, NO_TYPE, ...[0, 16, 32, 48].flatMap(lane), ...advance(AT)],
    ...[...advance(WITH), LOCAL_GET, AT, LOCAL_GET, LAST, I32_LT_U, BR_IF, 0, END, END],
  ];
}

function sized(code: readonly number[]): number[] {
  return [...unsigned(code.length), ...code];
}

/** LEB128 of a number below 2^14. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, value >> 7];
}

/** Views words where they stand; a copy where they do not stand on a multiple of 4. */
function asWords(bytes: Uint8Array): Int32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
