// Plain twins of assembly/sign.ts: one bit an element with the mean magnitude of a group, and the residual that it
// leaves.
import { sumF32 } from './int8.js';

export const SIGN_GROUP_ELEMENTS = 2048;
/** Sums that a group's magnitudes are added to in turn; the elements behind the last whole turn come at the end. */
const SUMS = 16;

const isNegative = (x: number): boolean => x < 0 || Object.is(x, -0);

/** In fp32, in the order of the kernel. */
function meanMagnitude(c: Float32Array): number {
  const sums = new Float32Array(SUMS);
  const whole = c.length - (c.length % SUMS);
  for (let i = 0; i < whole; i++) sums[i % SUMS] += Math.abs(c[i]);
  const four = [0, 1, 2, 3].map((lane) =>
    Math.fround(Math.fround(sums[lane] + sums[lane + 4]) + Math.fround(sums[lane + 8] + sums[lane + 12])),
  );
  let sum = Math.fround(Math.fround(four[0] + four[1]) + Math.fround(four[2] + four[3]));
  for (let i = whole; i < c.length; i++) sum = Math.fround(sum + Math.abs(c[i]));
  return Math.fround(sum / c.length);
}

/** Encodes gradient + residual · factor; fills the means, the bits and the next residual. */
export function packSign(
  gradient: Float32Array,
  residual: Float32Array,
  factor: number,
  means: Float32Array,
  bits: Uint8Array,
  next: Float32Array,
): void {
  const inverse = Math.fround(1 / factor);
  sumF32(gradient, residual, factor, next);
  bits.fill(0);
  for (let group = 0; group < means.length; group++) {
    const c = next.subarray(group * SIGN_GROUP_ELEMENTS, (group + 1) * SIGN_GROUP_ELEMENTS);
    const mean = meanMagnitude(c);
    means[group] = mean;
    for (let j = 0; j < c.length; j++) {
      const negative = isNegative(c[j]);
      const i = group * SIGN_GROUP_ELEMENTS + j;
      if (negative) bits[i >> 3] |= 1 << (i & 7);
      c[j] = Math.fround(c[j] - (negative ? -mean : mean)) * inverse;
    }
  }
}

/** Encodes values - held; what that sends is added to held. */
export function packDifferenceSign(
  values: Float32Array,
  held: Float32Array,
  means: Float32Array,
  bits: Uint8Array,
): void {
  packSign(values, held, -1, means, bits, new Float32Array(values.length));
  addSign(means, bits, 1, held);
}

function decoded(means: Float32Array, bits: Uint8Array, i: number, factor: number): number {
  const value = Math.fround(means[Math.floor(i / SIGN_GROUP_ELEMENTS)] * factor);
  return (bits[i >> 3] >> (i & 7)) & 1 ? -value : value;
}

export function unpackSign(means: Float32Array, bits: Uint8Array, factor: number, dst: Float32Array): void {
  const f = Math.fround(factor);
  for (let i = 0; i < dst.length; i++) dst[i] = decoded(means, bits, i, f);
}

export function addSign(means: Float32Array, bits: Uint8Array, factor: number, acc: Float32Array): void {
  const f = Math.fround(factor);
  for (let i = 0; i < acc.length; i++) acc[i] += decoded(means, bits, i, f);
}
