// int8 with one fp32 scale for every 256 elements: what is sent is c = gradient + residual * factor, what is left
// of c beyond its encoding is the next residual. A group's c stays in the first-level cache between the pass that
// finds its largest magnitude and the pass that rounds it, so memory sees one pass.
// A payload is the scales of all groups, then one byte an element.
import { largestLane } from './reduce';

const GROUP: i32 = 256;
/** Largest magnitude of an element as int8. */
const TOP: f32 = 127;
/** Groups below this magnitude are sent as zeros: 127 divided by it stays a normal number, and so do all products. */
const SMALLEST: f32 = reinterpret<f32>((127 - 100) << 23);
/** 1.5 * 2^23: a number of less than 22 bits added to it is rounded to a whole one, to nearest even. */
const ROUND: f32 = 12582912;

/** Largest magnitude, as bits, of a[i] + b[i] * factor. */
export function absmaxOfSumBits(a: usize, b: usize, n: i32, factor: f32): i32 {
  const mask = i32x4.splat(0x7fffffff);
  const f = f32x4.splat(factor);
  let largest = i32x4.splat(0);
  let other = largest;
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, a += 32, b += 32) {
    const low = f32x4.add(v128.load(a), f32x4.mul(v128.load(b), f));
    const high = f32x4.add(v128.load(a, 16), f32x4.mul(v128.load(b, 16), f));
    largest = i32x4.max_s(largest, v128.and(low, mask));
    other = i32x4.max_s(other, v128.and(high, mask));
  }
  for (; i < n; i++, a += 4, b += 4) {
    const x = f32x4.splat(load<f32>(a) + load<f32>(b) * factor);
    largest = i32x4.max_s(largest, v128.and(x, mask));
  }
  return largestLane(i32x4.max_s(largest, other));
}

/** dst[i] = a[i] + b[i] * factor; dst may be a or b. */
export function sumF32(a: usize, b: usize, n: i32, factor: f32, dst: usize): void {
  const f = f32x4.splat(factor);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, a += 32, b += 32, dst += 32) {
    v128.store(dst, f32x4.add(v128.load(a), f32x4.mul(v128.load(b), f)));
    v128.store(dst, f32x4.add(v128.load(a, 16), f32x4.mul(v128.load(b, 16), f)), 16);
  }
  for (; i < n; i++, a += 4, b += 4, dst += 4) {
    store<f32>(dst, load<f32>(a) + load<f32>(b) * factor);
  }
}

/** c of up to 256 elements into `next`: the bits of its largest magnitude. */
// @ts-ignore: decorator
@inline
function groupSum(gradient: usize, residual: usize, count: i32, factor: f32, next: usize): i32 {
  const mask = i32x4.splat(0x7fffffff);
  const f = f32x4.splat(factor);
  let largest = i32x4.splat(0);
  let other = largest;
  const whole = count & ~7;
  let i = 0;
  for (; i < whole; i += 8, gradient += 32, residual += 32, next += 32) {
    const low = f32x4.add(v128.load(gradient), f32x4.mul(v128.load(residual), f));
    const high = f32x4.add(v128.load(gradient, 16), f32x4.mul(v128.load(residual, 16), f));
    v128.store(next, low);
    v128.store(next, high, 16);
    largest = i32x4.max_s(largest, v128.and(low, mask));
    other = i32x4.max_s(other, v128.and(high, mask));
  }
  for (; i < count; i++, gradient += 4, residual += 4, next += 4) {
    const c = load<f32>(gradient) + load<f32>(residual) * factor;
    store<f32>(next, c);
    largest = i32x4.max_s(largest, v128.and(f32x4.splat(c), mask));
  }
  return largestLane(i32x4.max_s(largest, other));
}

/**
 * Encodes c = gradient + residual * factor; next = (c - decoded) * inverse, where inverse is one over factor.
 * `next` may be neither gradient nor residual if the call is to be repeatable.
 */
export function packI8(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize,
): void {
  let scales = dst;
  let bytes = dst + (((n + GROUP - 1) / GROUP) << 2);
  const magic = f32x4.splat(ROUND);
  const unscale = f32x4.splat(inverse);
  for (let start = 0; start < n; start += GROUP, scales += 4) {
    const count = min(GROUP, n - start);
    const absmax = reinterpret<f32>(groupSum(gradient, residual, count, factor, next));
    const zero = absmax < SMALLEST;
    const scale: f32 = zero ? 0 : absmax / TOP;
    const multiplier: f32 = zero ? 0 : TOP / absmax;
    store<f32>(scales, scale);
    const s = f32x4.splat(scale);
    const m = f32x4.splat(multiplier);
    const whole = count & ~15;
    let i = 0;
    for (; i < whole; i += 16, bytes += 16, next += 64) {
      const c0 = v128.load(next);
      const c1 = v128.load(next, 16);
      const c2 = v128.load(next, 32);
      const c3 = v128.load(next, 48);
      const r0 = f32x4.add(f32x4.mul(c0, m), magic);
      const r1 = f32x4.add(f32x4.mul(c1, m), magic);
      const r2 = f32x4.add(f32x4.mul(c2, m), magic);
      const r3 = f32x4.add(f32x4.mul(c3, m), magic);
      // The low bits of what was rounded are the whole number itself, in two's complement.
      v128.store(
        bytes,
        i8x16.shuffle(
          i8x16.shuffle(r0, r1, 0, 4, 8, 12, 16, 20, 24, 28, 0, 0, 0, 0, 0, 0, 0, 0),
          i8x16.shuffle(r2, r3, 0, 4, 8, 12, 16, 20, 24, 28, 0, 0, 0, 0, 0, 0, 0, 0),
          0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23,
        ),
      );
      v128.store(next, f32x4.mul(f32x4.sub(c0, f32x4.mul(f32x4.sub(r0, magic), s)), unscale));
      v128.store(next, f32x4.mul(f32x4.sub(c1, f32x4.mul(f32x4.sub(r1, magic), s)), unscale), 16);
      v128.store(next, f32x4.mul(f32x4.sub(c2, f32x4.mul(f32x4.sub(r2, magic), s)), unscale), 32);
      v128.store(next, f32x4.mul(f32x4.sub(c3, f32x4.mul(f32x4.sub(r3, magic), s)), unscale), 48);
    }
    for (; i < count; i++, bytes++, next += 4) {
      const c = load<f32>(next);
      const rounded = c * multiplier + ROUND;
      store<u8>(bytes, u8(reinterpret<i32>(rounded)));
      store<f32>(next, (c - (rounded - ROUND) * scale) * inverse);
    }
    gradient += count << 2;
    residual += count << 2;
  }
}

/** Four int8, extended to 32 bits, times the group's scale, times the caller's factor. */
// @ts-ignore: decorator
@inline
function fromI8(x: v128, scale: v128, factor: v128): v128 {
  return f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(x), scale), factor);
}

/** dst[i] = decoded[i] * factor. */
export function unpackI8(src: usize, n: i32, factor: f32, dst: usize): void {
  let scales = src;
  src += ((n + GROUP - 1) / GROUP) << 2;
  const f = f32x4.splat(factor);
  for (let start = 0; start < n; start += GROUP, scales += 4) {
    const count = min(GROUP, n - start);
    const scale = load<f32>(scales);
    const s = f32x4.splat(scale);
    const whole = count & ~15;
    let i = 0;
    for (; i < whole; i += 16, src += 16, dst += 64) {
      const x = v128.load(src);
      const low = i16x8.extend_low_i8x16_s(x);
      const high = i16x8.extend_high_i8x16_s(x);
      v128.store(dst, fromI8(i32x4.extend_low_i16x8_s(low), s, f));
      v128.store(dst, fromI8(i32x4.extend_high_i16x8_s(low), s, f), 16);
      v128.store(dst, fromI8(i32x4.extend_low_i16x8_s(high), s, f), 32);
      v128.store(dst, fromI8(i32x4.extend_high_i16x8_s(high), s, f), 48);
    }
    for (; i < count; i++, src++, dst += 4) store<f32>(dst, f32(load<i8>(src)) * scale * factor);
  }
}

/** acc[i] += decoded[i] * factor. */
export function addI8(src: usize, n: i32, factor: f32, acc: usize): void {
  let scales = src;
  src += ((n + GROUP - 1) / GROUP) << 2;
  const f = f32x4.splat(factor);
  for (let start = 0; start < n; start += GROUP, scales += 4) {
    const count = min(GROUP, n - start);
    const scale = load<f32>(scales);
    const s = f32x4.splat(scale);
    const whole = count & ~15;
    let i = 0;
    for (; i < whole; i += 16, src += 16, acc += 64) {
      const x = v128.load(src);
      const low = i16x8.extend_low_i8x16_s(x);
      const high = i16x8.extend_high_i8x16_s(x);
      v128.store(acc, f32x4.add(v128.load(acc), fromI8(i32x4.extend_low_i16x8_s(low), s, f)));
      v128.store(acc, f32x4.add(v128.load(acc, 16), fromI8(i32x4.extend_high_i16x8_s(low), s, f)), 16);
      v128.store(acc, f32x4.add(v128.load(acc, 32), fromI8(i32x4.extend_low_i16x8_s(high), s, f)), 32);
      v128.store(acc, f32x4.add(v128.load(acc, 48), fromI8(i32x4.extend_high_i16x8_s(high), s, f)), 48);
    }
    for (; i < count; i++, src++, acc += 4)
      store<f32>(acc, load<f32>(acc) + f32(load<i8>(src)) * scale * factor);
  }
}
