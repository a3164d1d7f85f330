// Rows of embedding tables to fp16 and back, each with a scale of its own: the power of two that takes its largest
// magnitude to [2^14, 2^15) once it is rounded, as fp16Scale chooses it for a block.
import { packF16, unpackF16 } from './convert';

/** Half a unit in the last place of fp16, as bits of an fp32: what rounding can carry into the exponent. */
const HALF_UNIT: i32 = 0x1000;
const TOP_EXPONENT: i32 = 14;
const EXPONENT_MIN: i32 = -112;
const EXPONENT_MAX: i32 = 126;
const BIAS: i32 = 127;

/** 2^exponent, for exponents of normal numbers. */
// @ts-ignore: decorator
@inline
function powerOfTwo(exponent: i32): f32 {
  return reinterpret<f32>((exponent + BIAS) << 23);
}

/** Bits of the largest magnitude of `n` fp32. */
function absmaxOfRow(src: usize, n: i32): i32 {
  const mask = i32x4.splat(0x7fffffff);
  const whole = n & ~3;
  let most = i32x4.splat(0);
  let i = 0;
  for (; i < whole; i += 4, src += 16) most = i32x4.max_s(most, v128.and(v128.load(src), mask));
  let bits = max(
    max(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1)),
    max(i32x4.extract_lane(most, 2), i32x4.extract_lane(most, 3)),
  );
  for (; i < n; i++, src += 4) bits = max(bits, load<i32>(src) & 0x7fffffff);
  return bits;
}

/** `rows` rows of `width` finite fp32 to as many fp16 at `dst`, and the exponents of their scales, a byte each. */
export function packRowsF16(src: usize, rows: i32, width: i32, dst: usize, exponents: usize): void {
  for (let row = 0; row < rows; row++, src += 4 * width, dst += 2 * width) {
    const bits = absmaxOfRow(src, width);
    const exponent = bits == 0 ? 0 : min(TOP_EXPONENT - (((bits + HALF_UNIT) >>> 23) - BIAS), EXPONENT_MAX);
    store<i8>(exponents + row, <i8>exponent);
    packF16(src, width, powerOfTwo(exponent), dst);
  }
}

/** The way back. Returns the number of rows that were unpacked: fewer than `rows` where an exponent is none. */
export function unpackRowsF16(src: usize, exponents: usize, rows: i32, width: i32, dst: usize): i32 {
  for (let row = 0; row < rows; row++, src += 2 * width, dst += 4 * width) {
    const exponent = <i32>load<i8>(exponents + row);
    if (exponent < EXPONENT_MIN || exponent > EXPONENT_MAX) return row;
    unpackF16(src, width, powerOfTwo(-exponent), dst);
  }
  return rows;
}
