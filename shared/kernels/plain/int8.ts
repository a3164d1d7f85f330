// Plain twins of assembly/int8.ts: int8 with a scale for every 256 elements, and the residual that it leaves.

import { philox } from '../../random.js';
import type { RoundingKey } from '../kernels.js';

export const INT8_GROUP_ELEMENTS = 256;
/** Groups below this magnitude are sent as zeros. */
const SMALLEST = 2 ** -100;
/** Adding it to a small fp32 and taking it away again rounds to a whole number, to nearest even. */
const ROUND = 12_582_912;

/** dst = a + b · factor: what the lossy codecs encode. */
export function sumF32(a: Float32Array, b: Float32Array, factor: number, dst: Float32Array): void {
  const f = Math.fround(factor);
  for (let i = 0; i < a.length; i++) dst[i] = a[i] + Math.fround(b[i] * f);
}

/** The 256 random bytes of a group. */
function randomBytes(group: number, { seed, worker, step, block }: RoundingKey): Uint8Array {
  const bytes = new Uint8Array(INT8_GROUP_ELEMENTS);
  const words = new DataView(bytes.buffer);
  const counter = new Uint32Array(4);
  for (let i = 0; i < 16; i++) {
    counter.set([16 * group + i, block, step, worker]);
    philox(counter, seed, Math.floor(seed / 2 ** 32));
    for (let word = 0; word < 4; word++)
      words.setUint32(64 * (i >> 2) + 16 * word + 4 * (i & 3), counter[word], true);
  }
  return bytes;
}

/**
 * Encodes gradient + residual · factor; fills the scales, the bytes and the next residual. With a key it rounds by
 * chance instead of to nearest.
 */
export function packI8(
  gradient: Float32Array,
  residual: Float32Array,
  factor: number,
  scales: Float32Array,
  bytes: Int8Array,
  next: Float32Array,
  key?: RoundingKey,
): void {
  const inverse = Math.fround(1 / factor);
  sumF32(gradient, residual, factor, next);
  for (let group = 0; group * INT8_GROUP_ELEMENTS < next.length; group++) {
    const start = group * INT8_GROUP_ELEMENTS;
    const end = Math.min(start + INT8_GROUP_ELEMENTS, next.length);
    let absmax = 0;
    for (let i = start; i < end; i++) absmax = Math.max(absmax, Math.abs(next[i]));
    const scale = absmax < SMALLEST ? 0 : Math.fround(absmax / 127);
    const multiplier = absmax < SMALLEST ? 0 : Math.fround(127 / absmax);
    scales[group] = scale;
    const random = key && randomBytes(group, key);
    for (let i = start; i < end; i++) {
      let x = Math.fround(next[i] * multiplier);
      if (random) x = Math.fround(x + (random[i - start] - 127.5) / 256);
      const rounded = Math.fround(Math.fround(x + ROUND) - ROUND);
      bytes[i] = rounded;
      next[i] = Math.fround(next[i] - Math.fround(rounded * scale)) * inverse;
    }
  }
}

/** Encodes values - held; what that sends is added to held. */
export function packDifferenceI8(
  values: Float32Array,
  held: Float32Array,
  scales: Float32Array,
  bytes: Int8Array,
): void {
  packI8(values, held, -1, scales, bytes, new Float32Array(values.length));
  addI8(scales, bytes, 1, held);
}

export function unpackI8(scales: Float32Array, bytes: Int8Array, factor: number, dst: Float32Array): void {
  const f = Math.fround(factor);
  for (let i = 0; i < bytes.length; i++)
    dst[i] = Math.fround(bytes[i] * scales[Math.floor(i / INT8_GROUP_ELEMENTS)]) * f;
}

export function addI8(scales: Float32Array, bytes: Int8Array, factor: number, acc: Float32Array): void {
  const f = Math.fround(factor);
  for (let i = 0; i < bytes.length; i++)
    acc[i] += Math.fround(Math.fround(bytes[i] * scales[Math.floor(i / INT8_GROUP_ELEMENTS)]) * f);
}
