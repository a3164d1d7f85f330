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

/** Counts, in `work`, the ten bits above `shift` of the magnitudes whose bits above those are `prefix`. */
function count(src: usize, n: i32, prefix: i32, shift: i32, work: usize): void {
  memory.fill(work, 0, 1024 << 2);
  const wanted = i32x4.splat(prefix);
  const mask = i32x4.splat(0x7fffffff);
  const whole = n & ~3;
  let i = 0;
  for (; i < whole; i += 4, src += 16) {
    const found = i32x4.eq(i32x4.shr_u(v128.and(v128.load(src), mask), shift + 10), wanted);
    if (!v128.any_true(found)) continue;
    for (let lane: usize = 0; lane < 16; lane += 4) {
      const bits = load<i32>(src + lane) & 0x7fffffff;
      if (bits >> (shift + 10) != prefix) continue;
      const at = work + (((bits >> shift) & 1023) << 2);
      store<i32>(at, load<i32>(at) + 1);
    }
  }
  for (; i < n; i++, src += 4) {
    const bits = load<i32>(src) & 0x7fffffff;
    if (bits >> (shift + 10) != prefix) continue;
    const at = work + (((bits >> shift) & 1023) << 2);
    store<i32>(at, load<i32>(at) + 1);
  }
}

/**
 * Writes the payload of the `k` largest of `c`, and takes what was sent out of `c`.
 * @param work 8 KiB and 4 bytes of room
 */
export function packTopK(c: usize, n: i32, k: i32, scale: f32, inverseScale: f32, dst: usize, work: usize): void {
  memory.fill(work, 0, BINS << 2);
  for (let i = 0, at = c; i < n; i++, at += 4) {
    const bin = work + (((load<i32>(at) & 0x7fffffff) >> 20) << 2);
    store<i32>(bin, load<i32>(bin) + 1);
  }
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
  const mask = i32x4.splat(0x7fffffff);
  let bit = 0;
  for (let start = 0; start < n; start += GROUP, bit++) {
    const end = min(start + GROUP, n);
    let i = start;
    while (i < end) {
      const stop = min(i + 4, end);
      if (stop - i == 4) {
        const magnitudes = v128.and(v128.load(c + (i << 2)), mask);
        if (!v128.any_true(i32x4.ge_s(magnitudes, threshold))) {
          i = stop;
          continue;
        }
      }
      for (; i < stop; i++) {
        const at = c + (i << 2);
        const magnitude = load<i32>(at) & 0x7fffffff;
        if (magnitude < prefix) continue;
        if (magnitude == prefix) {
          if (equals == 0) continue;
          equals--;
        }
        const byte = upper + (bit >> 3);
        store<u8>(byte, u8(i32(load<u8>(byte)) | (1 << (bit & 7))));
        bit++;
        store<u8>(low++, u8(i - start));
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
