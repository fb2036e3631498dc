import { TestEnvironment } from 'jest-environment-node';

/**
 * onnxruntime-node checks tensors with `instanceof` against Node's own typed arrays, which jest's
 * sandbox replaces by its own. Giving the sandbox Node's makes tests run what production runs.
 */
export default class NativeArraysEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    Object.assign(this.global, {
      ArrayBuffer,
      SharedArrayBuffer,
      Uint8Array,
      Uint8ClampedArray,
      Uint16Array,
      Uint32Array,
      Int8Array,
      Int16Array,
      Int32Array,
      Float32Array,
      Float64Array,
      BigInt64Array,
      BigUint64Array,
    });
  }
}
