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

/** c = gradient + residual * factor; without a multiplication where factor is known to be 1, or -1. */
// @ts-ignore: decorator
@inline
export function sumOf(g: v128, r: v128, factor: v128, sign: i32): v128 {
  return sign > 0 ? f32x4.add(g, r) : sign < 0 ? f32x4.sub(g, r) : f32x4.add(g, f32x4.mul(r, factor));
}

/** Bits of the largest magnitude of c, of up to 256 elements. */
// @ts-ignore: decorator
@inline
function groupAbsmax(gradient: usize, residual: usize, count: i32, factor: f32, sign: i32): i32 {
  const mask = i32x4.splat(0x7fffffff);
  const f = f32x4.splat(factor);
  let m0 = i32x4.splat(0);
  let m1 = m0;
  let m2 = m0;
  let m3 = m0;
  const whole = count & ~15;
  let i = 0;
  for (; i < whole; i += 16, gradient += 64, residual += 64) {
    m0 = i32x4.max_s(m0, v128.and(sumOf(v128.load(gradient), v128.load(residual), f, sign), mask));
    m1 = i32x4.max_s(m1, v128.and(sumOf(v128.load(gradient, 16), v128.load(residual, 16), f, sign), mask));
    m2 = i32x4.max_s(m2, v128.and(sumOf(v128.load(gradient, 32), v128.load(residual, 32), f, sign), mask));
    m3 = i32x4.max_s(m3, v128.and(sumOf(v128.load(gradient, 48), v128.load(residual, 48), f, sign), mask));
  }
  for (; i < count; i++, gradient += 4, residual += 4) {
    const c = load<f32>(gradient) + load<f32>(residual) * factor;
    m0 = i32x4.max_s(m0, v128.and(f32x4.splat(c), mask));
  }
  return largestLane(i32x4.max_s(i32x4.max_s(m0, m1), i32x4.max_s(m2, m3)));
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
 * over factor. `next` may be neither gradient nor residual if the call is to be repeatable. Returns the bits of the
 * largest magnitude of c: if that is not finite, neither is what was written.
 */
export function packI8(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize,
): i32 {
  return factor == 1
    ? pack(gradient, residual, n, 1, 1, dst, next, 1, false, 0, 0, 0, 0, 0)
    : pack(gradient, residual, n, factor, inverse, dst, next, 0, false, 0, 0, 0, 0, 0);
}

/** The same, rounded up or down by chance, so that the mean is right. Up to 255 bytes behind the payload are used. */
export function packRandomI8(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize,
  block: i32, step: i32, worker: i32, key0: i32, key1: i32,
): i32 {
  return pack(gradient, residual, n, factor, inverse, dst, next, 0, true, block, step, worker, key0, key1);
}

/** Encodes c = values - held, rounded to nearest; held += decoded. Returns the bits of the largest magnitude of c. */
export function packDifferenceI8(values: usize, held: usize, n: i32, dst: usize): i32 {
  return pack(values, held, n, -1, 0, dst, held, -1, false, 0, 0, 0, 0, 0);
}

/** The next residual of four elements; of a difference (sign -1) what is held from now on. */
// @ts-ignore: decorator
@inline
export function left(r: v128, c: v128, sent: v128, inverse: v128, sign: i32): v128 {
  if (sign < 0) return f32x4.add(r, sent);
  return sign > 0 ? f32x4.sub(c, sent) : f32x4.mul(f32x4.sub(c, sent), inverse);
}

// @ts-ignore: decorator
@inline
function pack(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize, sign: i32,
  random: bool, block: i32, step: i32, worker: i32, key0: i32, key1: i32,
): i32 {
  let scales = dst;
  let bytes = dst + (((n + GROUP - 1) / GROUP) << 2);
  const magic = f32x4.splat(ROUND);
  const f = f32x4.splat(factor);
  const unscale = f32x4.splat(inverse);
  let bits = groupAbsmax(gradient, residual, min(GROUP, n), factor, sign);
  let largest = bits;
  for (let start = 0; start < n; start += GROUP, scales += 4) {
    const count = min(GROUP, n - start);
    const absmax = reinterpret<f32>(bits);
    const zero = absmax < SMALLEST;
    const scale: f32 = zero ? 0 : absmax / TOP;
    const multiplier: f32 = zero ? 0 : TOP / absmax;
    store<f32>(scales, scale);
    // The next group's magnitude is looked for before this group is rounded, so that nothing waits for its scale.
    const ahead = min(GROUP, n - start - count);
    bits = groupAbsmax(gradient + (GROUP << 2), residual + (GROUP << 2), ahead, factor, sign);
    largest = max(largest, bits);
    const s = f32x4.splat(scale);
    const m = f32x4.splat(multiplier);
    // The random bytes of an element lie where its own byte is going to be.
    if (random) randomBytes(bytes, start / GROUP, block, step, worker, key0, key1);
    const whole = count & ~15;
    let i = 0;
    for (; i < whole; i += 16, bytes += 16, gradient += 64, residual += 64, next += 64) {
      const c0 = sumOf(v128.load(gradient), v128.load(residual), f, sign);
      const c1 = sumOf(v128.load(gradient, 16), v128.load(residual, 16), f, sign);
      const c2 = sumOf(v128.load(gradient, 32), v128.load(residual, 32), f, sign);
      const c3 = sumOf(v128.load(gradient, 48), v128.load(residual, 48), f, sign);
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
      // As integers, what was rounded is the magic number's bits plus the whole number.
      v128.store(
        bytes,
        i8x16.narrow_i16x8_s(
          i16x8.narrow_i32x4_s(i32x4.sub(r0, magic), i32x4.sub(r1, magic)),
          i16x8.narrow_i32x4_s(i32x4.sub(r2, magic), i32x4.sub(r3, magic)),
        ),
      );
      v128.store(next, left(v128.load(residual), c0, f32x4.mul(f32x4.sub(r0, magic), s), unscale, sign));
      v128.store(next, left(v128.load(residual, 16), c1, f32x4.mul(f32x4.sub(r1, magic), s), unscale, sign), 16);
      v128.store(next, left(v128.load(residual, 32), c2, f32x4.mul(f32x4.sub(r2, magic), s), unscale, sign), 32);
      v128.store(next, left(v128.load(residual, 48), c3, f32x4.mul(f32x4.sub(r3, magic), s), unscale, sign), 48);
    }
    for (; i < count; i++, bytes++, gradient += 4, residual += 4, next += 4) {
      const r = load<f32>(residual);
      const c = load<f32>(gradient) + r * factor;
      let x = c * multiplier;
      if (random) x += f32(load<u8>(bytes)) * 0.00390625 - 0.498046875;
      const rounded = x + ROUND;
      const sent = (rounded - ROUND) * scale;
      store<u8>(bytes, u8(reinterpret<i32>(rounded)));
      store<f32>(next, sign < 0 ? r + sent : (c - sent) * inverse);
    }
  }
  return largest;
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
