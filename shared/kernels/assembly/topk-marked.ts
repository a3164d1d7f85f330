// Top-k where little of a block moves: sum, sgd and difference of the elements that contributions have brought, and no
// pass over the rest. Gives the bits of the kernels that pass over everything. Loops over lists work on eight places
// of theirs in turn, for the reason told at addTopK.
// In the place of an accumulator are lists, in columns: the sum's positions (u32), ascending, and its values; the same of
// what is being added; and the positions of what is pending. A block has marks: a bound (u32), how many elements its
// sum has, how many are pending, how many of these were left by the last difference, and how many others it had.
// The invariant: where an element is not pending, values and held differ by less than the bound, as magnitudes' bits;
// with a bound of 0 nothing is known. So if k pending ones differ by at least the bound, the k largest differences are
// among them, ties and all. Of what is left then no more stay pending than are likely to be needed: the bound rises
// until that is so, and is found anew by a pass over the block when k do not reach it.
import {
  ALL_LISTED_AT, BINS, COUNTS_AT, LEAST_AT, LISTED_AT, LIST_AT, count, gatherTopK, listMax, magnitude, packTopK, reach,
} from './topk';
import { listTopK } from './topk-payload';

const BOUND_AT: usize = 0;
const SUMMED_AT: usize = 4;
const PENDING_AT: usize = 8;
const LEFT_AT: usize = 12;
const FRESH_AT: usize = 16;

/** How many a column holds, in an accumulator of `n`: there is room for eight. */
// @ts-ignore: decorator
@inline
function columnMax(n: i32): i32 {
  return (n + 7) >> 3;
}

// @ts-ignore: decorator
@inline
function columnBytes(n: i32): usize {
  return usize(columnMax(n)) << 2;
}

// @ts-ignore: decorator
@inline
function pendingAt(acc: usize, n: i32): usize {
  return acc + 4 * columnBytes(n);
}

/** The sum begins with value * factor, or has it added, at the `k` positions that a checked payload holds. */
export function addMarkedTopK(
  src: usize, n: i32, k: i32, factor: f32, acc: usize, marks: usize, first: i32,
): void {
  // The caller sees to it; without room it would write over the block behind.
  if ((first ? 0 : load<i32>(marks + SUMMED_AT)) + k > columnMax(n)) unreachable();
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
  join(acc, n, marks);
  return largest;
}

/** What the sum has is pending, too. */
function join(acc: usize, n: i32, marks: usize): void {
  const summed = load<i32>(marks + SUMMED_AT);
  const pending = load<i32>(marks + PENDING_AT);
  if (summed + pending > columnMax(n)) {
    forgetMarks(marks, 0);
    return;
  }
  const list = pendingAt(acc, n);
  const joined = acc + 2 * columnBytes(n);
  let all = 0;
  for (let i = 0, j = 0; i < pending || j < summed; all++) {
    const here = i < pending ? load<i32>(list + (i << 2)) : n;
    const there = j < summed ? load<i32>(acc + (j << 2)) : n;
    store<i32>(joined + (all << 2), min(here, there));
    i += i32(here <= there);
    j += i32(there <= here);
  }
  memory.copy(list, joined, all << 2);
  store<i32>(marks + PENDING_AT, all);
}

/** As gatherTopK of values - held; a pass over the block only where the marks do not tell. */
export function gatherMarkedTopK(
  values: usize, held: usize, n: i32, k: i32, acc: usize, marks: usize, work: usize, workBytes: i32,
): i32 {
  const list = pendingAt(acc, n);
  const bound = load<i32>(marks + BOUND_AT);
  const largest = bound ? listPending(values, held, k, bound, list, marks, work, workBytes) : -1;
  if (largest >= 0) return largest;
  const highest = gatherTopK(values, held, n, k, -1, -1, 0, 0, 0, 0, work, workBytes);
  const listed = load<i32>(work + LISTED_AT);
  forgetMarks(marks, 0);
  if (listed > columnMax(n)) return highest;
  memory.copy(list, work + LIST_AT, listed << 2);
  store<i32>(marks + BOUND_AT, load<i32>(work + LEAST_AT));
  store<i32>(marks + PENDING_AT, listed);
  store<i32>(marks + FRESH_AT, listed);
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
  values: usize, held: usize, k: i32, bound: i32, list: usize, marks: usize, work: usize, workBytes: i32,
): i32 {
  const pending = load<i32>(marks + PENDING_AT);
  const positions = work + LIST_AT;
  const room = listMax(workBytes);
  const differences = positions + (room << 2);
  if (pending > room) return -1;
  const part = pending >> 3;
  const step = part << 2;
  for (let j = 0; j < step; j += 4) {
    let at = j;
    subtract(values, held, list + at, differences + at);
    at += step;
    subtract(values, held, list + at, differences + at);
    at += step;
    subtract(values, held, list + at, differences + at);
    at += step;
    subtract(values, held, list + at, differences + at);
    at += step;
    subtract(values, held, list + at, differences + at);
    at += step;
    subtract(values, held, list + at, differences + at);
    at += step;
    subtract(values, held, list + at, differences + at);
    at += step;
    subtract(values, held, list + at, differences + at);
  }
  for (let j = part << 5; j < pending << 2; j += 4) subtract(values, held, list + j, differences + j);
  let listed = 0;
  let largest = 0;
  for (let j = 0; j < pending; j++) {
    const c = load<f32>(differences + (j << 2));
    const bits = magnitude(c);
    largest = max(largest, bits);
    store<i32>(positions + (listed << 2), load<i32>(list + (j << 2)));
    store<f32>(differences + (listed << 2), c);
    listed += i32(bits >= bound);
  }
  if (listed < k && bound > 1) return -1;
  store<i32>(work + LISTED_AT, listed);
  store<i32>(work + ALL_LISTED_AT, i32(bound == 1));
  store<i32>(marks + FRESH_AT, listed - load<i32>(marks + LEFT_AT));
  return largest;
}

/** As packTopK of a difference, after `gatherMarkedTopK`. */
export function packMarkedTopK(
  values: usize, held: usize, n: i32, k: i32, scale: f32, inverseScale: f32, dst: usize, acc: usize, marks: usize,
  work: usize, workBytes: i32,
): void {
  packTopK(values, held, n, k, -1, -1, scale, inverseScale, dst, 0, 0, work, workBytes);
  if (!load<i32>(marks + BOUND_AT)) return;
  // Where there is no room for what is left, nothing is known.
  const pending = load<i32>(marks + PENDING_AT);
  if (pending > listMax(workBytes)) {
    forgetMarks(marks, 0);
    return;
  }
  const list = pendingAt(acc, n);
  const differences = work + LIST_AT;
  for (let j = 0; j < pending; j++) subtract(values, held, list + (j << 2), differences + (j << 2));
  keepPending(list, differences, marks);
  // What travels beyond what a sum brings are differences that were left before: as many are wanted next time, and
  // some to spare.
  const older = k - min(k, load<i32>(marks + FRESH_AT));
  const wanted = older + (older >> 2) + (k >> 4) + 1;
  const left = load<i32>(marks + PENDING_AT);
  if (left <= wanted) return;
  const counts = work + COUNTS_AT;
  memory.fill(counts, 0, BINS << 2);
  count(differences, left, 0, 20, 11, counts);
  const reached = reach(counts, BINS, wanted);
  const bin = i32(reached);
  const within = i32(reached >> 32) + load<i32>(counts + (bin << 2));
  const bound = (within > wanted << 1 ? bin + 1 : bin) << 20;
  if (bound <= load<i32>(marks + BOUND_AT)) return;
  store<i32>(marks + BOUND_AT, bound);
  keepPending(list, differences, marks);
}

/** Of what is pending, with these differences, only what differs by at least the bound stays so. */
function keepPending(list: usize, differences: usize, marks: usize): void {
  const pending = load<i32>(marks + PENDING_AT);
  const bound = load<i32>(marks + BOUND_AT);
  let kept = 0;
  for (let j = 0; j < pending; j++) {
    const c = load<f32>(differences + (j << 2));
    store<i32>(list + (kept << 2), load<i32>(list + (j << 2)));
    store<f32>(differences + (kept << 2), c);
    kept += i32(magnitude(c) >= bound);
  }
  store<i32>(marks + PENDING_AT, kept);
  store<i32>(marks + LEFT_AT, kept);
}

/** Nothing is known of values - held; or, where `equal`, that it is zero everywhere. */
export function forgetMarks(marks: usize, equal: i32): void {
  store<i32>(marks + BOUND_AT, equal);
  store<i32>(marks + PENDING_AT, 0);
  store<i32>(marks + LEFT_AT, 0);
}
