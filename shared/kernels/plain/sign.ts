// Plain twins of assembly/sign.ts: one bit an element with the mean magnitude, and the residual that it leaves.
import { sumF32 } from './int8.js';

const isNegative = (x: number): boolean => x < 0 || Object.is(x, -0);

/** Encodes gradient + residual · factor; returns the magnitude that stands for every element. */
export function packSign(
  gradient: Float32Array,
  residual: Float32Array,
  factor: number,
  bits: Uint8Array,
  next: Float32Array,
): number {
  const inverse = Math.fround(1 / factor);
  sumF32(gradient, residual, factor, next);
  const sums = [0, 0, 0, 0];
  for (let i = 0; i < next.length; i++) sums[i % 4] += Math.abs(next[i]);
  const mean = Math.fround((sums[0] + sums[1] + (sums[2] + sums[3])) / next.length);
  bits.fill(0);
  for (let i = 0; i < next.length; i++) {
    const negative = isNegative(next[i]);
    if (negative) bits[i >> 3] |= 1 << (i & 7);
    next[i] = Math.fround(next[i] - (negative ? -mean : mean)) * inverse;
  }
  return mean;
}

const signed = (bits: Uint8Array, i: number, value: number): number =>
  (bits[i >> 3] >> (i & 7)) & 1 ? -value : value;

export function unpackSign(bits: Uint8Array, value: number, dst: Float32Array): void {
  for (let i = 0; i < dst.length; i++) dst[i] = signed(bits, i, value);
}

export function addSign(bits: Uint8Array, value: number, acc: Float32Array): void {
  const v = Math.fround(value);
  for (let i = 0; i < acc.length; i++) acc[i] += signed(bits, i, v);
}
