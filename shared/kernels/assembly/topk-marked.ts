// Top-k where little of a block moves: sum, sgd and difference of the elements that contributions have brought, and no
// pass over the rest. Gives the bits of the kernels that pass over everything. Loops over lists work on eight places
// of theirs in turn, for the reason told at addTopK.
// The sum is a list in the memory of the accumulator: positions (u32), ascending, then as many values.
// A block has marks: a bound (u32), how many elements its sum has, how many were pending, how many were not and
// yet differed, and a bit for each pending one. The invariant: where an element is not pending, values and held
// differ by less than the bound, as magnitudes' bits; with a bound of 0 nothing is known. So if k pending ones differ by at
// least the bound, the k largest differences are among them, ties and all. Of what is left then no more stay pending
// than are likely to be needed: the bound rises until that is so, and is found anew by a pass over the block when k
// do not reach it.
import {
  ALL_LISTED_AT, BINS, COUNTS_AT, LEAST_AT, LISTED_AT, LIST_AT, count, gatherTopK, listMax, magnitude, packTopK, reach,
} from './topk';
import { listTopK } from './topk-payload';

const BOUND_AT: usize = 0;
const SUMMED_AT: usize = 4;
const PENDING_AT: usize = 8;
const FRESH_AT: usize = 12;
const BITS_AT: usize = 64;

/** Bytes of a bit for each of `n` elements, in words of 64. */
// @ts-ignore: decorator
@inline
function bitBytes(n: i32): usize {
  return usize((n + 63) >> 6) << 3;
}

/** Bytes of one column of a list in an accumulator of `n`: there is room for four. */
// @ts-ignore: decorator
@inline
function columnBytes(n: i32): usize {
  return usize((n + 7) >> 3) << 2;
}

// @ts-ignore: decorator
@inline
function setBit(bits: usize, i: i32): void {
  const byte = bits + (i >> 3);
  store<u8>(byte, u8(i32(load<u8>(byte)) | (1 << (i & 7))));
}

/** The sum begins with value * factor, or has it added, at the `k` positions that a checked payload holds. */
export function addMarkedTopK(
  src: usize, n: i32, k: i32, factor: f32, acc: usize, marks: usize, first: i32,
): void {
  const column = columnBytes(n);
  const values = acc + column;
  if (first) {
    listTopK(src, n, k, factor, acc, values);
    store<i32>(marks + SUMMED_AT, k);
    return;
  }
  const positions = values + column;
  const added = positions + column;
  listTopK(src, n, k, factor, positions, added);
  // From the back, into the room behind the list; what is in both leaves a gap at the front.
  const summed = load<i32>(marks + SUMMED_AT);
  let i = summed - 1;
  let j = k - 1;
  let to = summed + k;
  while (i >= 0 || j >= 0) {
    const here = i < 0 ? -1 : load<i32>(acc + (i << 2));
    const there = j < 0 ? -1 : load<i32>(positions + (j << 2));
    let x: f32 = 0;
    if (here >= there) x += load<f32>(values + (i-- << 2));
    if (there >= here) x += load<f32>(added + (j-- << 2));
    to--;
    store<i32>(acc + (to << 2), max(here, there));
    store<f32>(values + (to << 2), x);
  }
  const all = summed + k - to;
  memory.copy(acc, acc + (to << 2), all << 2);
  memory.copy(values, values + (to << 2), all << 2);
  store<i32>(marks + SUMMED_AT, all);
}

/** dst = the sum as an array of all elements. */
export function expandMarked(acc: usize, n: i32, marks: usize, dst: usize): void {
  const values = acc + columnBytes(n);
  memory.fill(dst, 0, n << 2);
  for (let j = 0, summed = load<i32>(marks + SUMMED_AT); j < summed; j++)
    store<f32>(dst + (load<i32>(acc + (j << 2)) << 2), 0 + load<f32>(values + (j << 2)));
}

/** One element's update; returns the bits of its magnitude. */
// @ts-ignore: decorator
@inline
function updated(param: usize, position: usize, value: usize, gradientScale: f32, learningRate: f32): i32 {
  const at = param + (load<i32>(position) << 2);
  // A sum begins with a zero: it is never -0.
  const p = load<f32>(at) - (0 + load<f32>(value)) * gradientScale * learningRate;
  store<f32>(at, p);
  return magnitude(p);
}

/** As sgd with such a sum; returns the bits of the largest magnitude of what it has changed, which is pending. */
export function sgdMarked(
  param: usize, acc: usize, n: i32, gradientScale: f32, learningRate: f32, marks: usize,
): i32 {
  const summed = load<i32>(marks + SUMMED_AT);
  const values = acc + columnBytes(n);
  let largest = 0;
  const part = summed >> 3;
  const step = part << 2;
  for (let j = 0; j < step; j += 4) {
    let at = j;
    let bits = updated(param, acc + at, values + at, gradientScale, learningRate);
    at += step;
    bits = max(bits, updated(param, acc + at, values + at, gradientScale, learningRate));
    at += step;
    bits = max(bits, updated(param, acc + at, values + at, gradientScale, learningRate));
    at += step;
    bits = max(bits, updated(param, acc + at, values + at, gradientScale, learningRate));
    at += step;
    bits = max(bits, updated(param, acc + at, values + at, gradientScale, learningRate));
    at += step;
    bits = max(bits, updated(param, acc + at, values + at, gradientScale, learningRate));
    at += step;
    bits = max(bits, updated(param, acc + at, values + at, gradientScale, learningRate));
    at += step;
    bits = max(bits, updated(param, acc + at, values + at, gradientScale, learningRate));
    largest = max(largest, bits);
  }
  for (let j = part << 5; j < summed << 2; j += 4)
    largest = max(largest, updated(param, acc + j, values + j, gradientScale, learningRate));
  for (let j = 0; j < summed; j++) setBit(marks + BITS_AT, load<i32>(acc + (j << 2)));
  return largest;
}

/** As gatherTopK of values - held; a pass over the block only where the marks do not tell. */
export function gatherMarkedTopK(
  values: usize, held: usize, n: i32, k: i32, marks: usize, work: usize, workBytes: i32,
): i32 {
  const bound = load<i32>(marks + BOUND_AT);
  const largest = bound ? listPending(values, held, n, k, bound, marks, work, workBytes) : -1;
  if (largest >= 0) return largest;
  const highest = gatherTopK(values, held, n, k, -1, -1, 0, 0, 0, 0, work, workBytes);
  const listed = load<i32>(work + LISTED_AT);
  store<i32>(marks + BOUND_AT, load<i32>(work + LEAST_AT));
  store<i32>(marks + FRESH_AT, listed);
  memory.fill(marks + BITS_AT, 0, bitBytes(n));
  for (let j = 0; j < listed; j++) setBit(marks + BITS_AT, load<i32>(work + LIST_AT + (j << 2)));
  return highest;
}

// @ts-ignore: decorator
@inline
function subtract(values: usize, held: usize, position: usize, difference: usize): void {
  const at = load<i32>(position) << 2;
  store<f32>(difference, load<f32>(values + at) - load<f32>(held + at));
}

/** Lists what is pending and differs by at least the bound; -1: that the k largest are among them is not known. */
function listPending(
  values: usize, held: usize, n: i32, k: i32, bound: i32, marks: usize, work: usize, workBytes: i32,
): i32 {
  const positions = work + LIST_AT;
  const room = listMax(workBytes);
  const differences = positions + (room << 2);
  const pending = listBits(marks + BITS_AT, n, positions, room);
  if (pending < 0) return -1;
  const part = pending >> 3;
  const step = part << 2;
  for (let j = 0; j < step; j += 4) {
    let at = j;
    subtract(values, held, positions + at, differences + at);
    at += step;
    subtract(values, held, positions + at, differences + at);
    at += step;
    subtract(values, held, positions + at, differences + at);
    at += step;
    subtract(values, held, positions + at, differences + at);
    at += step;
    subtract(values, held, positions + at, differences + at);
    at += step;
    subtract(values, held, positions + at, differences + at);
    at += step;
    subtract(values, held, positions + at, differences + at);
    at += step;
    subtract(values, held, positions + at, differences + at);
  }
  for (let j = part << 5; j < pending << 2; j += 4) subtract(values, held, positions + j, differences + j);
  let listed = 0;
  let largest = 0;
  for (let j = 0; j < pending; j++) {
    const c = load<f32>(differences + (j << 2));
    const bits = magnitude(c);
    largest = max(largest, bits);
    store<i32>(positions + (listed << 2), load<i32>(positions + (j << 2)));
    store<f32>(differences + (listed << 2), c);
    listed += i32(bits >= bound);
  }
  if (listed < k && bound > 1) return -1;
  store<i32>(work + LISTED_AT, listed);
  store<i32>(work + ALL_LISTED_AT, i32(bound == 1));
  store<i32>(marks + FRESH_AT, listed - load<i32>(marks + PENDING_AT));
  return largest;
}

/** The places of one bits, ascending; -1 where there is no room for them. */
function listBits(bits: usize, n: i32, positions: usize, room: i32): i32 {
  let listed = 0;
  for (let start = 0; start < n; start += 64, bits += 8) {
    let left = load<u64>(bits);
    if (!left) continue;
    if (listed + i32(popcnt(left)) > room) return -1;
    for (; left; left &= left - 1, listed++) store<i32>(positions + (listed << 2), start + i32(ctz(left)));
  }
  return listed;
}

/** As packTopK of a difference, after `gatherMarkedTopK`. */
export function packMarkedTopK(
  values: usize, held: usize, n: i32, k: i32, scale: f32, inverseScale: f32, dst: usize, marks: usize,
  work: usize, workBytes: i32,
): void {
  packTopK(values, held, n, k, -1, -1, scale, inverseScale, dst, 0, 0, work, workBytes);
  const bound = load<i32>(marks + BOUND_AT);
  if (!bound) return;
  // What travels beyond what a sum brings are differences that were left before: as many are wanted next time, and
  // some to spare.
  const older = k - min(k, load<i32>(marks + FRESH_AT));
  const wanted = older + (older >> 2) + (k >> 4) + 1;
  const left = keepPending(values, held, n, marks, bound, work, workBytes);
  if (left > wanted) raiseBound(values, held, n, marks, bound, left, wanted, work, workBytes);
}

/** Raises the bound to where about `wanted` of the `left` that `keepPending` has listed stay pending. */
function raiseBound(
  values: usize, held: usize, n: i32, marks: usize, bound: i32, left: i32, wanted: i32, work: usize, workBytes: i32,
): void {
  const counts = work + COUNTS_AT;
  memory.fill(counts, 0, BINS << 2);
  count(work + LIST_AT, min(left, listMax(workBytes)), 0, 20, 11, counts);
  const reached = reach(counts, BINS, wanted);
  const bin = i32(reached);
  const within = i32(reached >> 32) + load<i32>(counts + (bin << 2));
  const raised = (within > wanted << 1 ? bin + 1 : bin) << 20;
  if (raised <= bound) return;
  store<i32>(marks + BOUND_AT, raised);
  keepPending(values, held, n, marks, raised, work, workBytes);
}

/** Of what is pending only what differs by at least `bound` stays so; lists it in `work`, and returns how much it is. */
function keepPending(
  values: usize, held: usize, n: i32, marks: usize, bound: i32, work: usize, workBytes: i32,
): i32 {
  const room = listMax(workBytes);
  const bits = marks + BITS_AT;
  let kept = 0;
  for (let start = 0; start < n; start += 64) {
    const word = bits + (start >> 3);
    const all = load<u64>(word);
    let staying = all;
    for (let left = all; left; left &= left - 1) {
      const at = (start + i32(ctz(left))) << 2;
      const c = load<f32>(values + at) - load<f32>(held + at);
      if (magnitude(c) < bound) {
        staying &= ~(left & (0 - left));
        continue;
      }
      if (kept < room) store<f32>(work + LIST_AT + (kept << 2), c);
      kept++;
    }
    if (staying != all) store<u64>(word, staying);
  }
  store<i32>(marks + PENDING_AT, kept);
  return kept;
}

/** Nothing is known of values - held; or, where `equal`, that it is zero everywhere. */
export function forgetMarks(marks: usize, n: i32, equal: i32): void {
  store<i32>(marks + BOUND_AT, equal);
  store<i32>(marks + PENDING_AT, 0);
  memory.fill(marks + BITS_AT, 0, bitBytes(n));
}
