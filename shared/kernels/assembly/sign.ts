// One bit an element: the sign of c = gradient + residual * factor, with the mean magnitude of each 2048 elements for
// all of them: so few that they stay in the first-level cache between the pass that takes the mean and the pass that
// writes what is left. Karimireddy et al., "Error feedback fixes SignSGD", ICML 2019, which has one mean a tensor.
// A payload is the magnitudes of all groups (fp32), then one bit for each element, the first in the lowest bit.
import { left, sumOf } from './int8';
import { largestLane } from './reduce';

const GROUP: i32 = 2048;

/** Bytes of the magnitudes of `n` elements. */
// @ts-ignore: decorator
@inline
function meansBytes(n: i32): i32 {
  return ((n + GROUP - 1) / GROUP) << 2;
}

/** Encodes c; next = (c - decoded) * inverse. Returns the bits of the largest magnitude of c. */
export function packSign(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize,
): i32 {
  return factor == 1
    ? pack(gradient, residual, n, 1, 1, dst, next, 1)
    : pack(gradient, residual, n, factor, inverse, dst, next, 0);
}

/** Encodes c = values - held; held += decoded. Returns the bits of the largest magnitude of c. */
export function packDifferenceSign(values: usize, held: usize, n: i32, dst: usize): i32 {
  return pack(values, held, n, -1, 0, dst, held, -1);
}

// @ts-ignore: decorator
@inline
function pack(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize, sign: i32,
): i32 {
  const f = f32x4.splat(factor);
  const unscale = f32x4.splat(inverse);
  const mask = i32x4.splat(0x7fffffff);
  const signs = i32x4.splat(0x80000000);
  let bytes = dst + meansBytes(n);
  let largest = i32x4.splat(0);
  for (let start = 0; start < n; start += GROUP, dst += 4) {
    const count = min(GROUP, n - start);
    const whole = count & ~15;
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let g = gradient;
    let r = residual;
    let i = 0;
    for (; i < whole; i += 16, g += 64, r += 64) {
      const a0 = v128.and(sumOf(v128.load(g), v128.load(r), f, sign), mask);
      const a1 = v128.and(sumOf(v128.load(g, 16), v128.load(r, 16), f, sign), mask);
      const a2 = v128.and(sumOf(v128.load(g, 32), v128.load(r, 32), f, sign), mask);
      const a3 = v128.and(sumOf(v128.load(g, 48), v128.load(r, 48), f, sign), mask);
      s0 = f32x4.add(s0, a0);
      s1 = f32x4.add(s1, a1);
      s2 = f32x4.add(s2, a2);
      s3 = f32x4.add(s3, a3);
      largest = i32x4.max_s(largest, i32x4.max_s(i32x4.max_s(a0, a1), i32x4.max_s(a2, a3)));
    }
    s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
    let sum =
      f32x4.extract_lane(s0, 0) + f32x4.extract_lane(s0, 1) +
      (f32x4.extract_lane(s0, 2) + f32x4.extract_lane(s0, 3));
    for (; i < count; i++, g += 4, r += 4) {
      const magnitude = abs(load<f32>(g) + load<f32>(r) * factor);
      largest = i32x4.max_s(largest, f32x4.splat(magnitude));
      sum += magnitude;
    }
    const mean = sum / f32(count);
    store<f32>(dst, mean);
    const m = f32x4.splat(mean);
    for (i = 0; i < whole; i += 16, gradient += 64, residual += 64, next += 64, bytes += 2) {
      const c0 = sumOf(v128.load(gradient), v128.load(residual), f, sign);
      const c1 = sumOf(v128.load(gradient, 16), v128.load(residual, 16), f, sign);
      const c2 = sumOf(v128.load(gradient, 32), v128.load(residual, 32), f, sign);
      const c3 = sumOf(v128.load(gradient, 48), v128.load(residual, 48), f, sign);
      // Saturation keeps the sign of an i32 in the sign of its i8.
      const narrow = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(c0, c1), i16x8.narrow_i32x4_s(c2, c3));
      store<u16>(bytes, u16(i8x16.bitmask(narrow)));
      const d0 = v128.or(v128.and(c0, signs), m);
      const d1 = v128.or(v128.and(c1, signs), m);
      const d2 = v128.or(v128.and(c2, signs), m);
      const d3 = v128.or(v128.and(c3, signs), m);
      v128.store(next, left(v128.load(residual), c0, d0, unscale, sign));
      v128.store(next, left(v128.load(residual, 16), c1, d1, unscale, sign), 16);
      v128.store(next, left(v128.load(residual, 32), c2, d2, unscale, sign), 32);
      v128.store(next, left(v128.load(residual, 48), c3, d3, unscale, sign), 48);
    }
    let bits = 0;
    for (let bit = 0; i < count; i++, bit++, gradient += 4, residual += 4, next += 4) {
      const x = load<f32>(residual);
      const c = load<f32>(gradient) + x * factor;
      const negative = reinterpret<u32>(c) >> 31;
      bits |= negative << bit;
      const sent = negative ? -mean : mean;
      store<f32>(next, sign < 0 ? x + sent : (c - sent) * inverse);
    }
    if (count > whole) store<u8>(bytes, u8(bits));
    if (count > whole + 8) store<u8>(bytes, u8(bits >> 8), 1);
  }
  return largestLane(largest);
}

/** Four elements: `value` with the sign of bits 0 to 3. */
// @ts-ignore: decorator
@inline
function fromBits(bits: i32, value: v128): v128 {
  const sign = i32x4.mul(i32x4.splat(bits), i32x4(0x80000000, 0x40000000, 0x20000000, 0x10000000));
  return v128.xor(v128.and(sign, i32x4.splat(0x80000000)), value);
}

/** dst[i] = decoded[i] * factor. */
export function unpackSign(src: usize, n: i32, factor: f32, dst: usize): void {
  decode(src, n, factor, dst, false);
}

/** acc[i] += decoded[i] * factor. */
export function addSign(src: usize, n: i32, factor: f32, acc: usize): void {
  decode(src, n, factor, acc, true);
}

// @ts-ignore: decorator
@inline
function decode(src: usize, n: i32, factor: f32, dst: usize, add: bool): void {
  let bytes = src + meansBytes(n);
  for (let start = 0; start < n; start += GROUP, src += 4) {
    const count = min(GROUP, n - start);
    const value = load<f32>(src) * factor;
    const v = f32x4.splat(value);
    const whole = count & ~7;
    let i = 0;
    for (; i < whole; i += 8, bytes++, dst += 32) {
      const bits = i32(load<u8>(bytes));
      const low = fromBits(bits, v);
      const high = fromBits(bits >> 4, v);
      v128.store(dst, add ? f32x4.add(v128.load(dst), low) : low);
      v128.store(dst, add ? f32x4.add(v128.load(dst, 16), high) : high, 16);
    }
    for (let bit = 0; i < count; i++, bit++, dst += 4) {
      const x = (i32(load<u8>(bytes)) >> bit) & 1 ? -value : value;
      store<f32>(dst, add ? load<f32>(dst) + x : x);
    }
  }
}
