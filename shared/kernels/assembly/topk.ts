// The k largest magnitudes of a block, exactly k, ties to the lowest index. A radix select on the bits of the
// magnitudes (11, 10 and 10 bits) finds the k-th largest; then one pass writes what travels.
// A payload is k (u32), the positions as Elias and Fano coded them (Elias, "Efficient storage and retrieval by
// content and address of static files", J. ACM 1974): for each group of 256 elements a one bit for each element
// in it and then a zero bit; the low byte of each position; and the values in fp16 with the block's scale.
import { fromF16, toF16 } from './halves';

const GROUP: i32 = 256;
const BINS: i32 = 2048;

/** Bytes of the bit string of `k` positions among `n`. */
// @ts-ignore: decorator
@inline
function upperBytes(n: i32, k: i32): i32 {
  return (k + (n + GROUP - 1) / GROUP + 7) >> 3;
}

/** From the highest of `bins` counts down: the bin in which the count reaches `wanted`. */
function reach(work: usize, bins: i32, wanted: i32): i32 {
  let above = 0;
  let bin = bins - 1;
  for (; bin > 0; bin--) {
    const next = above + load<i32>(work + (bin << 2));
    if (next >= wanted) break;
    above = next;
  }
  store<i32>(work + (BINS << 2), above);
  return bin;
}

/** One bit for each of 16 lanes of comparisons. */
// @ts-ignore: decorator
@inline
function lanes(a: v128, b: v128, c: v128, d: v128): i32 {
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
}

/** One bit for each of 16 magnitudes that is at least `least`. */
// @ts-ignore: decorator
@inline
function reaching(src: usize, least: v128): i32 {
  const mask = i32x4.splat(0x7fffffff);
  return lanes(
    i32x4.ge_s(v128.and(v128.load(src), mask), least),
    i32x4.ge_s(v128.and(v128.load(src, 16), mask), least),
    i32x4.ge_s(v128.and(v128.load(src, 32), mask), least),
    i32x4.ge_s(v128.and(v128.load(src, 48), mask), least),
  );
}

/** Counts, in `work`, the upper eleven bits of the magnitudes that are at least `least`; returns how many there are. */
function countUpper(src: usize, n: i32, least: i32, work: usize): i32 {
  memory.fill(work, 0, BINS << 2);
  const bound = i32x4.splat(least);
  let found = 0;
  for (let i = 0; i < n; i += 16, src += 64) {
    let left = n - i < 16 ? tail(src, n - i, least) : reaching(src, bound);
    found += popcnt(left);
    for (; left; left &= left - 1) {
      const bits = load<i32>(src + (ctz(left) << 2)) & 0x7fffffff;
      const bin = work + ((bits >> 20) << 2);
      store<i32>(bin, load<i32>(bin) + 1);
    }
  }
  return found;
}

/** `reaching` of fewer than 16 magnitudes. */
function tail(src: usize, n: i32, least: i32): i32 {
  let found = 0;
  for (let i = 0; i < n; i++) found |= i32((load<i32>(src + (i << 2)) & 0x7fffffff) >= least) << i;
  return found;
}

/**
 * A magnitude that at least `k` probably reach, and not many more: from every 16th element, with a quarter of k and
 * some to spare. Where it is too large, all are counted.
 */
function guess(src: usize, n: i32, k: i32, work: usize): i32 {
  memory.fill(work, 0, BINS << 2);
  for (let i = 0, at = src; i < n; i += 16, at += 64) {
    const bin = work + (((load<i32>(at) & 0x7fffffff) >> 20) << 2);
    store<i32>(bin, load<i32>(bin) + 1);
  }
  return reach(work, BINS, ((k + (k >> 2)) >> 4) + 8) << 20;
}

/** Counts, in `work`, the ten bits above `shift` of the magnitudes whose bits above those are `prefix`. */
function count(src: usize, n: i32, prefix: i32, shift: i32, work: usize): void {
  memory.fill(work, 0, 1024 << 2);
  // Those with that prefix are the ones from its first number to below the next prefix's first.
  const first = prefix << (shift + 10);
  const bound = i32x4.splat(first);
  for (let i = 0; i < n; i += 16, src += 64) {
    let left = n - i < 16 ? tail(src, n - i, first) : reaching(src, bound);
    for (; left; left &= left - 1) {
      const bits = load<i32>(src + (ctz(left) << 2)) & 0x7fffffff;
      const step = i32(bits >> (shift + 10) == prefix);
      const at = work + (((bits >> shift) & 1023) << 2);
      store<i32>(at, load<i32>(at) + step);
    }
  }
}

/**
 * Writes the payload of the `k` largest of `c`, and takes what was sent out of `c`.
 * @param work 8 KiB and 4 bytes of room
 */
export function packTopK(c: usize, n: i32, k: i32, scale: f32, inverseScale: f32, dst: usize, work: usize): void {
  if (countUpper(c, n, guess(c, n, k, work), work) < k) countUpper(c, n, 0, work);
  let equals = k;
  let prefix = reach(work, BINS, equals);
  equals -= load<i32>(work + (BINS << 2));
  for (let shift = 10; shift >= 0; shift -= 10) {
    count(c, n, prefix, shift, work);
    const bin = reach(work, 1024, equals);
    equals -= load<i32>(work + (BINS << 2));
    prefix = (prefix << 10) | bin;
  }
  // prefix is now the k-th largest magnitude; `equals` of those that are just that large travel.
  const upper = dst + 4;
  let low = upper + upperBytes(n, k);
  let value = low + k;
  store<i32>(dst, k);
  memory.fill(upper, 0, upperBytes(n, k));
  const threshold = i32x4.splat(prefix);
  let bit = 0;
  for (let start = 0; start < n; start += GROUP, bit++) {
    const end = min(start + GROUP, n);
    for (let i = start; i < end; i += 16) {
      const from = c + (i << 2);
      let left = end - i < 16 ? tail(from, end - i, prefix) : reaching(from, threshold);
      for (; left; left &= left - 1) {
        const lane = ctz(left);
        const at = from + (lane << 2);
        if ((load<i32>(at) & 0x7fffffff) == prefix) {
          if (equals == 0) continue;
          equals--;
        }
        const byte = upper + (bit >> 3);
        store<u8>(byte, u8(i32(load<u8>(byte)) | (1 << (bit & 7))));
        bit++;
        store<u8>(low++, u8(i - start + lane));
        const x = load<f32>(at);
        const scaled = f32x4.splat(x * scale);
        const half = i16x8.extract_lane_u(toF16(scaled, scaled), 0);
        store<u16>(value, half);
        value += 2;
        const sent = f32x4.extract_lane(fromF16(i32x4.splat(half)), 0) * inverseScale;
        store<f32>(at, x - sent);
      }
    }
  }
}

/** acc[position] += value * factor, for the `k` that a checked payload holds. */
export function addTopK(src: usize, n: i32, k: i32, factor: f32, acc: usize): void {
  let upper = src + 4;
  let low = upper + upperBytes(n, k);
  let value = low + k;
  let group = acc;
  let taken = 0;
  while (taken < k) {
    let bits = i32(load<u8>(upper++));
    for (let left = 8; left > 0 && taken < k; left--, bits >>= 1) {
      if (!(bits & 1)) {
        group += GROUP << 2;
        continue;
      }
      const at = group + (usize(load<u8>(low++)) << 2);
      const x = f32x4.extract_lane(fromF16(i32x4.splat(load<u16>(value))), 0);
      value += 2;
      store<f32>(at, load<f32>(at) + x * factor);
      taken++;
    }
  }
}

/** dst[position] = 0 for the `k` positions of a payload. */
export function zeroTopK(src: usize, n: i32, k: i32, dst: usize): void {
  const upper = src + 4;
  let low = upper + upperBytes(n, k);
  let group = dst;
  let taken = 0;
  for (let bit = 0; taken < k; bit++) {
    if ((i32(load<u8>(upper + (bit >> 3))) >> (bit & 7)) & 1) {
      store<f32>(group + (usize(load<u8>(low++)) << 2), 0);
      taken++;
    } else group += GROUP << 2;
  }
}

/**
 * What is wrong with a payload that has the length of `k` positions among `n`: 0 nothing, 1 it counts other than k,
 * 2 the bit string does not name k positions, 3 positions that do not ascend, 4 a position beyond the block,
 * 5 a value that is not finite.
 */
export function faultTopK(src: usize, n: i32, k: i32): i32 {
  if (load<i32>(src) != k) return 1;
  const bytes = upperBytes(n, k);
  const groups = (n + GROUP - 1) / GROUP;
  const upper = src + 4;
  const low = upper + bytes;
  const values = low + k;
  let taken = 0;
  let group = 0;
  let previous = -1;
  for (let at = 0; at < bytes << 3; at++) {
    const bit = (i32(load<u8>(upper + (at >> 3))) >> (at & 7)) & 1;
    if (at >= k + groups) {
      if (bit) return 2;
    } else if (bit) {
      if (taken == k) return 2;
      const position = group * GROUP + i32(load<u8>(low + taken));
      if (position <= previous) return 3;
      if (position >= n) return 4;
      previous = position;
      taken++;
    } else group++;
  }
  if (taken != k) return 2;
  for (let i = 0; i < k; i++)
    if ((load<u16>(values + (i << 1)) & 0x7c00) == 0x7c00) return 5;
  return 0;
}
