// Makes the kernels ready: compiles their module (once a thread), and makes or takes the memory they work on.
// Several threads may each load the kernels onto one memory.
import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import { RunError } from '../errors.js';
import { SHARD_MEMORY_MAX_BYTES } from '../limits.js';
import type { Kernels } from './kernels.js';
import { type WasmMemory, type WasmModule, wasm } from './webassembly.js';

export const WASM_PAGE_BYTES = 65_536;
/** What the module keeps for itself at the start of the memory. */
const RESERVED_BYTES = 1024;
/** Bits of infinity: the magnitudes of all finite numbers are below. */
const INFINITY_F32 = 0x7f800000;
const INFINITY_F16 = 0x7c00;
const INFINITY_BF16 = 0x7f80;

let compiled: WasmModule | undefined;

function kernelModule(): WasmModule {
  const file = new URL('./kernels.wasm', import.meta.url);
  try {
    compiled ??= new wasm.Module(readFileSync(file));
  } catch (error) {
    throw new RunError(`The kernels could not be loaded from ${file.pathname}; run \`npm run build\`.`, {
      cause: error,
    });
  }
  return compiled;
}

function makeMemory(bytes: number): WasmMemory {
  const needed = bytes + RESERVED_BYTES;
  if (!(bytes >= 0) || needed > SHARD_MEMORY_MAX_BYTES) {
    throw new RunError(
      `${bytes} bytes were asked of one memory of the kernels, which holds ${SHARD_MEMORY_MAX_BYTES - RESERVED_BYTES} at most; use more servers.`,
    );
  }
  const pages = Math.ceil(needed / WASM_PAGE_BYTES);
  try {
    return new wasm.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (error) {
    throw new RunError(
      `The ${pages * WASM_PAGE_BYTES} bytes of the kernels' memory could not be had from the system; free some memory or use more servers.`,
      { cause: error },
    );
  }
}

/**
 * The kernels over a new memory with room for `bytes` (rounded up to a page), or over one that another thread
 * made. A new memory holds zeros.
 * @throws RunError if the memory is not to be had or the build left no kernels
 */
export function loadKernels(options: { bytes: number } | { memory: WasmMemory }): Kernels {
  const code = kernelModule();
  const memory = 'memory' in options ? options.memory : makeMemory(options.bytes);
  const kernels = new wasm.Instance(code, { env: { memory } }).exports;
  const firstFreeByte = kernels.firstFreeByte() >>> 0;
  assert(firstFreeByte <= RESERVED_BYTES, 'the module must fit into what is kept for it');
  const buffer = memory.buffer;
  const bits = new Int32Array(1);
  const float = new Float32Array(bits.buffer);
  const fromBits = (value: number): number => {
    bits[0] = value;
    return float[0];
  };
  return {
    memory,
    firstFreeByte,
    packF16: kernels.packF16,
    unpackF16: kernels.unpackF16,
    addF16: kernels.addF16,
    packRowsF16: kernels.packRowsF16,
    unpackRowsF16: kernels.unpackRowsF16,
    packBf16: kernels.packBf16,
    unpackBf16: kernels.unpackBf16,
    addBf16: kernels.addBf16,
    scaleF32: kernels.scaleF32,
    addF32: kernels.addF32,
    copyBytes: kernels.copyBytes,
    absmax: (src, elements) => fromBits(kernels.absmaxBits(src, elements)),
    allFinite: (src, elements) => kernels.absmaxBits(src, elements) < INFINITY_F32,
    allFiniteF16: (src, elements) => kernels.halvesBelow(src, elements, INFINITY_F16) === 1,
    allFiniteBf16: (src, elements) => kernels.halvesBelow(src, elements, INFINITY_BF16) === 1,
    sumOfSquares: kernels.sumOfSquares,
    xxh64: (src, bytes) => kernels.xxh64(src, bytes) >>> 0,
    sgd: (s) => fromBits(kernels.sgd(s.param, s.gradient, s.elements, s.gradientScale, s.learningRate)),
    momentum: (s) =>
      fromBits(
        kernels.momentum(
          s.param,
          s.velocity,
          s.gradient,
          s.elements,
          s.gradientScale,
          s.learningRate,
          s.momentum,
          s.nesterov ? 1 : 0,
        ),
      ),
    adam: (s) =>
      fromBits(
        kernels.adam(
          s.param,
          s.firstMoment,
          s.secondMoment,
          s.gradient,
          s.elements,
          s.beta1,
          (1 - s.beta1) * s.gradientScale,
          s.beta2,
          (1 - s.beta2) * s.gradientScale * s.gradientScale,
          s.stepSize,
          s.epsilon,
        ),
      ),
    prepareGradient: (s) => {
      kernels.prepareGradient(s.gradient, s.param, s.elements, s.gradientScale, s.clipValue, s.l1, 2 * s.l2);
    },
    adagrad: (s) =>
      fromBits(
        kernels.adagrad(s.param, s.sum, s.gradient, s.elements, s.gradientScale, s.learningRate, s.epsilon),
      ),
    rmsprop: (s) =>
      fromBits(
        kernels.rmsprop(
          s.param,
          s.square,
          s.velocity ?? 0,
          s.mean ?? 0,
          s.gradient,
          s.elements,
          s.gradientScale,
          s.learningRate,
          s.decay,
          1 - s.decay,
          s.momentum,
          s.epsilon,
          s.velocity === undefined ? 0 : 1,
          s.mean === undefined ? 0 : 1,
        ),
      ),
    adamw: (s) =>
      fromBits(
        kernels.adamw(
          s.param,
          s.firstMoment,
          s.secondMoment,
          s.gradient,
          s.elements,
          s.beta1,
          (1 - s.beta1) * s.gradientScale,
          s.beta2,
          (1 - s.beta2) * s.gradientScale * s.gradientScale,
          s.stepSize,
          s.epsilon,
          s.decayRate,
        ),
      ),
    lion: (s) =>
      fromBits(
        kernels.lion(
          s.param,
          s.moment,
          s.gradient,
          s.elements,
          s.beta1,
          (1 - s.beta1) * s.gradientScale,
          s.beta2,
          (1 - s.beta2) * s.gradientScale,
          s.learningRate,
          s.decayRate,
        ),
      ),
    lambDirection: (s) => {
      kernels.lambDirection(
        s.param,
        s.firstMoment,
        s.secondMoment,
        s.gradient,
        s.elements,
        s.beta1,
        (1 - s.beta1) * s.gradientScale,
        s.beta2,
        (1 - s.beta2) * s.gradientScale * s.gradientScale,
        s.stepSize,
        s.epsilon,
        s.weightDecay,
      );
    },
    absmaxOfSum: (a, b, elements, factor) => fromBits(kernels.absmaxOfSumBits(a, b, elements, factor)),
    packI8: (s) =>
      fromBits(kernels.packI8(s.gradient, s.residual, s.elements, s.factor, 1 / s.factor, s.dst, s.next)),
    packRandomI8: (s, { seed, worker, step, block }) =>
      fromBits(
        kernels.packRandomI8(
          s.gradient,
          s.residual,
          s.elements,
          s.factor,
          1 / s.factor,
          s.dst,
          s.next,
          block,
          step,
          worker,
          seed,
          Math.floor(seed / 2 ** 32),
        ),
      ),
    packDifferenceI8: (s) => fromBits(kernels.packDifferenceI8(s.values, s.held, s.elements, s.dst)),
    unpackI8: kernels.unpackI8,
    addI8: kernels.addI8,
    packSign: (s) =>
      fromBits(kernels.packSign(s.gradient, s.residual, s.elements, s.factor, 1 / s.factor, s.dst, s.next)),
    packDifferenceSign: (s) => fromBits(kernels.packDifferenceSign(s.values, s.held, s.elements, s.dst)),
    unpackSign: kernels.unpackSign,
    addSign: kernels.addSign,
    gatherTopK: (s, k, v) =>
      fromBits(
        kernels.gatherTopK(
          s.gradient,
          s.residual,
          s.elements,
          k,
          s.factor,
          1 / s.factor,
          s.next,
          v?.velocity ?? 0,
          v?.nextVelocity ?? 0,
          v?.momentum ?? 0,
          s.work,
          s.bytes,
        ),
      ),
    packTopK: (s, k, scale, v) => {
      kernels.packTopK(
        s.gradient,
        s.residual,
        s.elements,
        k,
        s.factor,
        1 / s.factor,
        scale,
        1 / scale,
        s.dst,
        s.next,
        v?.nextVelocity ?? 0,
        s.work,
        s.bytes,
      );
    },
    gatherDifferenceTopK: ({ values, held, elements, work, bytes }, k) =>
      fromBits(kernels.gatherTopK(values, held, elements, k, -1, -1, 0, 0, 0, 0, work, bytes)),
    packDifferenceTopK: ({ values, held, elements, dst, work, bytes }, k, scale) => {
      kernels.packTopK(values, held, elements, k, -1, -1, scale, 1 / scale, dst, 0, 0, work, bytes);
    },
    addMarkedTopK: (src, elements, k, factor, acc, marks, first) => {
      kernels.addMarkedTopK(src, elements, k, factor, acc, marks, first ? 1 : 0);
    },
    expandMarked: kernels.expandMarked,
    sgdMarked: (s, marks) =>
      fromBits(kernels.sgdMarked(s.param, s.gradient, s.elements, s.gradientScale, s.learningRate, marks)),
    gatherMarkedTopK: ({ values, held, elements, acc, marks, work, bytes }, k) =>
      fromBits(kernels.gatherMarkedTopK(values, held, elements, k, acc, marks, work, bytes)),
    packMarkedTopK: ({ values, held, elements, dst, acc, marks, work, bytes }, k, scale) => {
      kernels.packMarkedTopK(values, held, elements, k, scale, 1 / scale, dst, acc, marks, work, bytes);
    },
    forgetMarks: (marks, equal) => {
      kernels.forgetMarks(marks, equal ? 1 : 0);
    },
    unpackTopK: kernels.unpackTopK,
    addTopK: kernels.addTopK,
    faultTopK: kernels.faultTopK,
    f32: (pointer, elements) => new Float32Array(buffer, pointer, elements),
    u16: (pointer, elements) => new Uint16Array(buffer, pointer, elements),
    u8: (pointer, bytes) => new Uint8Array(buffer, pointer, bytes),
  };
}
