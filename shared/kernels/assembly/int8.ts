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

/** What is added before rounding to nearest, so that it is stochastic: four random bytes as (byte - 127.5) / 256. */
// @ts-ignore: decorator
@inline
function offsets(bytes: v128): v128 {
  return f32x4.sub(f32x4.mul(f32x4.convert_i32x4_s(bytes), f32x4.splat(0.00390625)), f32x4.splat(0.498046875));
}

/**
 * 256 random bytes of a group by Philox4x32-10, four counters at a time (Salmon et al., "Parallel random numbers: as
 * easy as 1, 2, 3", SC 2011): counter (16 * group + i, block, step, worker), i from 0; word w of counters 4j to
 * 4j + 3 are bytes 64j + 16w to 64j + 16w + 15.
 */
function randomBytes(dst: usize, group: i32, block: i32, step: i32, worker: i32, key0: i32, key1: i32): void {
  const m0 = i32x4.splat(0xd2511f53);
  const m1 = i32x4.splat(0xcd9e8d57);
  for (let chunk = 0; chunk < 4; chunk++, dst += 64) {
    let c0 = i32x4.add(i32x4.splat((group << 4) + (chunk << 2)), i32x4(0, 1, 2, 3));
    let c1 = i32x4.splat(block);
    let c2 = i32x4.splat(step);
    let c3 = i32x4.splat(worker);
    let k0 = key0;
    let k1 = key1;
    for (let round = 0; round < 10; round++, k0 += 0x9e3779b9, k1 += 0xbb67ae85) {
      const a = i64x2.extmul_low_i32x4_u(c0, m0);
      const b = i64x2.extmul_high_i32x4_u(c0, m0);
      const c = i64x2.extmul_low_i32x4_u(c2, m1);
      const d = i64x2.extmul_high_i32x4_u(c2, m1);
      const high0 = i8x16.shuffle(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
      const high1 = i8x16.shuffle(c, d, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
      const next1 = i8x16.shuffle(c, d, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
      const next3 = i8x16.shuffle(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
      c0 = v128.xor(v128.xor(high1, c1), i32x4.splat(k0));
      c2 = v128.xor(v128.xor(high0, c3), i32x4.splat(k1));
      c1 = next1;
      c3 = next3;
    }
    v128.store(dst, c0);
    v128.store(dst, c1, 16);
    v128.store(dst, c2, 32);
    v128.store(dst, c3, 48);
  }
}

/**
 * Encodes c = gradient + residual * factor, rounded to nearest; next = (c - decoded) * inverse, where inverse is one
 * over factor. `next` may be neither gradient nor residual if the call is to be repeatable.
 */
export function packI8(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize,
): void {
  pack(gradient, residual, n, factor, inverse, dst, next, false, 0, 0, 0, 0, 0);
}

/** The same, rounded up or down by chance, so that the mean is right. Up to 255 bytes behind the payload are used. */
export function packRandomI8(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize,
  block: i32, step: i32, worker: i32, key0: i32, key1: i32,
): void {
  pack(gradient, residual, n, factor, inverse, dst, next, true, block, step, worker, key0, key1);
}

// @ts-ignore: decorator
@inline
function pack(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize,
  random: bool, block: i32, step: i32, worker: i32, key0: i32, key1: i32,
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
    // The random bytes of an element lie where its own byte is going to be.
    if (random) randomBytes(bytes, start / GROUP, block, step, worker, key0, key1);
    const whole = count & ~15;
    let i = 0;
    for (; i < whole; i += 16, bytes += 16, next += 64) {
      const c0 = v128.load(next);
      const c1 = v128.load(next, 16);
      const c2 = v128.load(next, 32);
      const c3 = v128.load(next, 48);
      let x0 = f32x4.mul(c0, m);
      let x1 = f32x4.mul(c1, m);
      let x2 = f32x4.mul(c2, m);
      let x3 = f32x4.mul(c3, m);
      if (random) {
        const drawn = v128.load(bytes);
        const low = i16x8.extend_low_i8x16_u(drawn);
        const high = i16x8.extend_high_i8x16_u(drawn);
        x0 = f32x4.add(x0, offsets(i32x4.extend_low_i16x8_u(low)));
        x1 = f32x4.add(x1, offsets(i32x4.extend_high_i16x8_u(low)));
        x2 = f32x4.add(x2, offsets(i32x4.extend_low_i16x8_u(high)));
        x3 = f32x4.add(x3, offsets(i32x4.extend_high_i16x8_u(high)));
      }
      const r0 = f32x4.add(x0, magic);
      const r1 = f32x4.add(x1, magic);
      const r2 = f32x4.add(x2, magic);
      const r3 = f32x4.add(x3, magic);
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
      let x = c * multiplier;
      if (random) x += f32(load<u8>(bytes)) * 0.00390625 - 0.498046875;
      const rounded = x + ROUND;
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
