// The payloads of top-k: k (u32), the positions as Elias and Fano coded them (Elias, "Efficient storage and retrieval by
// content and address of static files", J. ACM 1974): for each group of 256 elements a one bit for each element
// in it and then a zero bit; the low byte of each position; and the values in fp16 with the block's scale.
import { unpackF16 } from './convert';
import { fromF16, toF16 } from './halves';

const GROUP: i32 = 256;

/** Bytes of the bit string of `k` positions among `n`. */
// @ts-ignore: decorator
@inline
export function upperBytes(n: i32, k: i32): i32 {
  return (k + (n + GROUP - 1) / GROUP + 7) >> 3;
}

/** The payload, up to the values. */
export function packPositions(positions: usize, n: i32, k: i32, dst: usize): void {
  const upper = dst + 4;
  const low = upper + upperBytes(n, k);
  store<i32>(dst, k);
  memory.fill(upper, 0, upperBytes(n, k));
  for (let j = 0; j < k; j++) {
    const i = load<i32>(positions + (j << 2));
    // Before the bit of an element stand those of the elements before it, and a zero for each group before its own.
    const bit = j + i / GROUP;
    const byte = upper + (bit >> 3);
    store<u8>(byte, u8(i32(load<u8>(byte)) | (1 << (bit & 7))));
    store<u8>(low + j, u8(i));
  }
}

/** Values to fp16 at `dst`; in their place what was sent, or what that leaves of them. */
export function packValues(values: usize, k: i32, scale: f32, inverseScale: f32, dst: usize, sentWanted: bool): void {
  const s = f32x4.splat(scale);
  const inverse = f32x4.splat(inverseScale);
  const whole = k & ~3;
  let j = 0;
  for (; j < whole; j += 4, values += 16, dst += 8) {
    const c = v128.load(values);
    const x = f32x4.mul(c, s);
    const half = toF16(x, x);
    v128.store_lane<u64>(dst, half, 0);
    const sent = f32x4.mul(fromF16(i32x4.extend_low_i16x8_u(half)), inverse);
    v128.store(values, sentWanted ? sent : f32x4.sub(c, sent));
  }
  for (; j < k; j++, values += 4, dst += 2) {
    const c = v128.load_splat<u32>(values);
    const x = f32x4.mul(c, s);
    const half = toF16(x, x);
    v128.store_lane<u16>(dst, half, 0);
    const sent = f32x4.mul(fromF16(i32x4.extend_low_i16x8_u(half)), inverse);
    v128.store_lane<u32>(values, sentWanted ? sent : f32x4.sub(c, sent), 0);
  }
}

/** dst = decoded * factor: zeros, but at the `k` positions that a checked payload holds. */
export function unpackTopK(src: usize, n: i32, k: i32, factor: f32, dst: usize, work: usize): void {
  memory.fill(dst, 0, n << 2);
  addTopK(src, n, k, factor, dst, work);
}

/** acc[position] += value * factor, for the `k` that a checked payload holds; 8 * k bytes at `work` are used. */
export function addTopK(src: usize, n: i32, k: i32, factor: f32, acc: usize, work: usize): void {
  const values = work + (k << 2);
  listTopK(src, n, k, factor, work, values);
  // The next few of a list are of one page of memory, whose address is waited for: eight places of it are worked on in
  // turn, so that as many are waited for at once.
  const part = k >> 3;
  const step = part << 2;
  for (let j = 0; j < step; j += 4) {
    let at = j;
    addListed(work + at, values + at, acc);
    at += step;
    addListed(work + at, values + at, acc);
    at += step;
    addListed(work + at, values + at, acc);
    at += step;
    addListed(work + at, values + at, acc);
    at += step;
    addListed(work + at, values + at, acc);
    at += step;
    addListed(work + at, values + at, acc);
    at += step;
    addListed(work + at, values + at, acc);
    at += step;
    addListed(work + at, values + at, acc);
  }
  for (let j = part << 3; j < k; j++) addListed(work + (j << 2), values + (j << 2), acc);
}

// @ts-ignore: decorator
@inline
function addListed(position: usize, value: usize, acc: usize): void {
  const at = acc + (load<i32>(position) << 2);
  store<f32>(at, load<f32>(at) + load<f32>(value));
}

/** The place of the first one bit from `bit` on: no branch, and so no guess of the processor's, where it is near. */
// @ts-ignore: decorator
@inline
function nextOne(bits: usize, bit: i32, k: i32): i32 {
  // Seven bytes of a payload of three elements and more lie behind any of the bit string.
  if (k > 2) {
    const word = load<u64>(bits + (bit >> 3)) >> (bit & 7);
    if (word) return bit + i32(ctz(word));
  }
  while (!((i32(load<u8>(bits + (bit >> 3))) >> (bit & 7)) & 1)) bit++;
  return bit;
}

/** The `k` positions (u32) and values * factor that a checked payload holds. */
export function listTopK(src: usize, n: i32, k: i32, factor: f32, positions: usize, values: usize): void {
  let low = src + 4 + upperBytes(n, k);
  const halves = low + k;
  let bit = 0;
  let group = 0;
  for (let j = 0; j < k; j++, bit++, low++) {
    const next = nextOne(src + 4, bit, k);
    group += (next - bit) * GROUP;
    bit = next;
    store<i32>(positions + (j << 2), group + i32(load<u8>(low)));
  }
  unpackF16(halves, k, factor, values);
}

/**
 * What is wrong with a payload that has the length of `k` positions among `n`: 0 nothing, 1 it counts other than k,
 * 2 the bit string does not name k positions, 3 positions that do not ascend, 4 a position beyond the block.
 */
export function faultTopK(src: usize, n: i32, k: i32): i32 {
  if (load<i32>(src) != k) return 1;
  const bytes = upperBytes(n, k);
  const upper = src + 4;
  if (onesBelow(upper, k + (n + GROUP - 1) / GROUP) != k || onesBelow(upper, bytes << 3) != k) return 2;
  let low = upper + bytes;
  let previous = -1;
  for (let j = 0, bit = 0; j < k; j++, bit++, low++) {
    bit = nextOne(upper, bit, k);
    const position = (bit - j) * GROUP + i32(load<u8>(low));
    if (position <= previous) return 3;
    if (position >= n) return 4;
    previous = position;
  }
  return 0;
}

/** How many of the first `count` bits are one. */
function onesBelow(bits: usize, count: i32): i32 {
  let ones = 0;
  for (; count >= 64; count -= 64, bits += 8) ones += i32(popcnt(load<u64>(bits)));
  for (; count >= 8; count -= 8, bits++) ones += popcnt(i32(load<u8>(bits)));
  return count ? ones + popcnt(i32(load<u8>(bits)) & ((1 << count) - 1)) : ones;
}
