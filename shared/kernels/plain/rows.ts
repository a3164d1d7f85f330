// Plain twins of assembly/rows.ts.
import { fp16Scale } from '../../codec/fp16.js';
import { packF16, unpackF16 } from './convert.js';

/** Range of the exponents that `fp16Scale` gives. */
const EXPONENT_MIN = -112;
const EXPONENT_MAX = 126;

export function packRowsF16(src: Float32Array, width: number, dst: Uint16Array, exponents: Int8Array): void {
  for (let row = 0; row < exponents.length; row++) {
    const values = src.subarray(row * width, (row + 1) * width);
    const scale = fp16Scale(values.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
    exponents[row] = Math.log2(scale);
    packF16(values, scale, dst.subarray(row * width, (row + 1) * width));
  }
}

export function unpackRowsF16(
  src: Uint16Array,
  exponents: Int8Array,
  width: number,
  dst: Float32Array,
): number {
  for (const [row, exponent] of exponents.entries()) {
    if (exponent < EXPONENT_MIN || exponent > EXPONENT_MAX) return row;
    const part = [row * width, (row + 1) * width] as const;
    unpackF16(src.subarray(...part), 2 ** -exponent, dst.subarray(...part));
  }
  return exponents.length;
}
