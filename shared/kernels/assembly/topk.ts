// The k largest magnitudes of c = gradient + residual * factor, exactly k, ties to the lowest index. One pass over the
// arrays (`gatherTopK`) writes what is left if nothing travels, and lists the elements of at least a magnitude that is
// guessed from a sample. Among them (`packTopK`) a radix select on the bits of the magnitudes (11, 10 and 10 bits)
// finds the k-th largest. A bad guess costs passes over the whole block, and no bit of the result. Zeros are never
// listed: where fewer than k others are (differences after a sparse update), the first zeros make up for them.
import { largestLane } from './reduce';
import { packPositions, packValues, upperBytes } from './topk-payload';

export const BINS: i32 = 2048;
const FINE_BINS: i32 = 1024;
/** The guess looks at one cache line of 16 elements in so many; of blocks with few such lines everything is listed. */
const SAMPLED: i32 = 1024;
const SAMPLED_LINES_MIN: i32 = 16;
/** Elements that are marked before the marked ones are listed: few, lest the memory wait while they are listed. */
const TILE: i32 = 256;

// The room that a selection works in: how many are listed, whether these are all but zeros, the magnitude that the
// others are below (0: not known), the counts of the radix select, a bit for each element of a tile and some to spare,
// and the list: positions (u32) of as many as fit, then their c.
export const LISTED_AT: usize = 0;
export const ALL_LISTED_AT: usize = 4;
export const LEAST_AT: usize = 8;
export const COUNTS_AT: usize = 64;
const MARKS_AT: usize = COUNTS_AT + (BINS << 2);
export const LIST_AT: usize = MARKS_AT + (TILE >> 3) + 8;

/** How many the list holds in a room of `bytes`. */
// @ts-ignore: decorator
@inline
export function listMax(bytes: i32): i32 {
  return (bytes - i32(LIST_AT)) >> 3;
}

/** c, of one element. */
// @ts-ignore: decorator
@inline
function sumAt(gradient: usize, residual: usize, i: i32, factor: f32): f32 {
  return load<f32>(gradient + (i << 2)) + load<f32>(residual + (i << 2)) * factor;
}

// @ts-ignore: decorator
@inline
export function magnitude(x: f32): i32 {
  return reinterpret<i32>(x) & 0x7fffffff;
}

/** Counts the `bits` bits above `shift` of the magnitudes of `values` whose bits above those are `prefix`. */
export function count(values: usize, n: i32, prefix: i32, shift: i32, bits: i32, counts: usize): void {
  const low = (1 << bits) - 1;
  for (const end = values + (n << 2); values < end; values += 4) {
    const x = magnitude(load<f32>(values));
    const bin = counts + (((x >> shift) & low) << 2);
    store<i32>(bin, load<i32>(bin) + i32(x >> (shift + bits) == prefix));
  }
}

/** From the highest of `bins` counts down: the bin in which the count reaches `wanted`, and the count above it. */
export function reach(counts: usize, bins: i32, wanted: i32): u64 {
  let above = 0;
  let bin = bins - 1;
  for (; bin > 0; bin--) {
    const next = above + load<i32>(counts + (bin << 2));
    if (next >= wanted) break;
    above = next;
  }
  return (u64(above) << 32) | bin;
}

/**
 * A magnitude that at least `k` probably reach, and not many more: from a 64th of the elements, with half of k and
 * some to spare. Which line is taken depends on the place, lest all samples be of the same columns of a matrix.
 */
function guess(gradient: usize, residual: usize, n: i32, k: i32, factor: f32, work: usize): i32 {
  const lines = n / SAMPLED;
  if (lines < SAMPLED_LINES_MIN) return 0;
  const f = f32x4.splat(factor);
  const samples = work + LIST_AT;
  // The lines are far apart: they are read without waiting for one another, and counted afterwards.
  for (let line = 0, to = samples; line < lines; line++, to += 64) {
    const at = (line * SAMPLED + (((line * 0x9e3779b1) >>> 26) << 4)) << 2;
    const g = gradient + at;
    const r = residual + at;
    v128.store(to, f32x4.add(v128.load(g), f32x4.mul(v128.load(r), f)));
    v128.store(to, f32x4.add(v128.load(g, 16), f32x4.mul(v128.load(r, 16), f)), 16);
    v128.store(to, f32x4.add(v128.load(g, 32), f32x4.mul(v128.load(r, 32), f)), 32);
    v128.store(to, f32x4.add(v128.load(g, 48), f32x4.mul(v128.load(r, 48), f)), 48);
  }
  const counts = work + COUNTS_AT;
  const wanted = ((k + (k >> 1)) >> 6) + 8;
  memory.fill(counts, 0, BINS << 2);
  count(samples, lines << 4, 0, 20, 11, counts);
  const reached = reach(counts, BINS, wanted);
  const bin = i32(reached);
  memory.fill(counts, 0, FINE_BINS << 2);
  count(samples, lines << 4, bin, 10, 10, counts);
  return (bin << 20) | (i32(reach(counts, FINE_BINS, wanted - i32(reached >> 32))) << 10);
}

/** One bit for each of 16 lanes of comparisons. */
// @ts-ignore: decorator
@inline
function lanes(a: v128, b: v128, c: v128, d: v128): i32 {
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
}

/**
 * Lists what may travel, in a room of `workBytes`. Unless `next` is 0 it becomes the residual if nothing did,
 * c * inverse; with a `velocity`, nextVelocity = (gradient + velocity * momentum * factor) * inverse, and next has
 * momentum * nextVelocity in it too. Returns the bits of the largest magnitude of c.
 */
export function gatherTopK(
  gradient: usize, residual: usize, n: i32, k: i32, factor: f32, inverse: f32, next: usize,
  velocity: usize, nextVelocity: usize, momentum: f32, work: usize, workBytes: i32,
): i32 {
  const least = max(1, guess(gradient, residual, n, k, factor, work));
  const positions = work + LIST_AT;
  const room = listMax(workBytes);
  const values = positions + (room << 2);
  let listed = 0;
  let largest = 0;
  let fits = true;
  for (let start = 0; start < n; start += TILE) {
    const elements = min(TILE, n - start);
    const at = start << 2;
    const g = gradient + at;
    const r = residual + at;
    const bits = !next
      ? mark(g, r, elements, least, factor, inverse, 0, 0, 0, 0, work, 0)
      : velocity
        ? mark(g, r, elements, least, factor, inverse, next + at, velocity + at, nextVelocity + at, momentum, work, 2)
        : mark(g, r, elements, least, factor, inverse, next + at, 0, 0, 0, work, 1);
    largest = max(largest, bits);
    for (let word = 0; word < elements; word += 64) {
      let left = load<u64>(work + MARKS_AT + (word >> 3));
      fits = fits && listed + i32(popcnt(left)) <= room;
      if (!fits) break;
      for (; left; left &= left - 1, listed++) {
        const i = start + word + i32(ctz(left));
        store<i32>(positions + (listed << 2), i);
        store<f32>(values + (listed << 2), sumAt(gradient, residual, i, factor));
      }
    }
  }
  store<i32>(work + LISTED_AT, fits ? listed : 0);
  store<i32>(work + ALL_LISTED_AT, i32(fits && least == 1));
  store<i32>(work + LEAST_AT, fits ? least : 0);
  return largest;
}

/** Four elements of what is left if nothing travels. */
// @ts-ignore: decorator
@inline
function kept(c: v128, u: v128, inverse: v128, momentum: v128, arrays: i32): v128 {
  const left = f32x4.mul(c, inverse);
  return arrays == 2 ? f32x4.add(left, f32x4.mul(u, momentum)) : left;
}

/**
 * A tile's part of `gatherTopK`: a bit for each element whose magnitude is at least `least`, in words of 64.
 * @param arrays that are written: none, next, or next and nextVelocity
 */
// @ts-ignore: decorator
@inline
function mark(
  gradient: usize, residual: usize, n: i32, least: i32, factor: f32, inverse: f32, next: usize,
  velocity: usize, nextVelocity: usize, momentum: f32, work: usize, arrays: i32,
): i32 {
  const mask = i32x4.splat(0x7fffffff);
  const bound = i32x4.splat(least);
  const f = f32x4.splat(factor);
  const inv = f32x4.splat(inverse);
  const m = f32x4.splat(momentum);
  const velocityFactor = momentum * factor;
  const vf = f32x4.splat(velocityFactor);
  let largest = i32x4.splat(0);
  let other = largest;
  let marks = work + MARKS_AT;
  const whole = n & ~15;
  let i = 0;
  for (; i < whole; i += 16, marks += 2, gradient += 64, residual += 64) {
    const g0 = v128.load(gradient);
    const g1 = v128.load(gradient, 16);
    const g2 = v128.load(gradient, 32);
    const g3 = v128.load(gradient, 48);
    const c0 = f32x4.add(g0, f32x4.mul(v128.load(residual), f));
    const c1 = f32x4.add(g1, f32x4.mul(v128.load(residual, 16), f));
    const c2 = f32x4.add(g2, f32x4.mul(v128.load(residual, 32), f));
    const c3 = f32x4.add(g3, f32x4.mul(v128.load(residual, 48), f));
    if (arrays > 0) {
      let u0 = g0;
      let u1 = g1;
      let u2 = g2;
      let u3 = g3;
      if (arrays > 1) {
        u0 = f32x4.mul(f32x4.add(g0, f32x4.mul(v128.load(velocity), vf)), inv);
        u1 = f32x4.mul(f32x4.add(g1, f32x4.mul(v128.load(velocity, 16), vf)), inv);
        u2 = f32x4.mul(f32x4.add(g2, f32x4.mul(v128.load(velocity, 32), vf)), inv);
        u3 = f32x4.mul(f32x4.add(g3, f32x4.mul(v128.load(velocity, 48), vf)), inv);
        v128.store(nextVelocity, u0);
        v128.store(nextVelocity, u1, 16);
        v128.store(nextVelocity, u2, 32);
        v128.store(nextVelocity, u3, 48);
        velocity += 64;
        nextVelocity += 64;
      }
      v128.store(next, kept(c0, u0, inv, m, arrays));
      v128.store(next, kept(c1, u1, inv, m, arrays), 16);
      v128.store(next, kept(c2, u2, inv, m, arrays), 32);
      v128.store(next, kept(c3, u3, inv, m, arrays), 48);
      next += 64;
    }
    const a0 = v128.and(c0, mask);
    const a1 = v128.and(c1, mask);
    const a2 = v128.and(c2, mask);
    const a3 = v128.and(c3, mask);
    largest = i32x4.max_s(largest, i32x4.max_s(a0, a1));
    other = i32x4.max_s(other, i32x4.max_s(a2, a3));
    store<u16>(
      marks,
      u16(lanes(i32x4.ge_s(a0, bound), i32x4.ge_s(a1, bound), i32x4.ge_s(a2, bound), i32x4.ge_s(a3, bound))),
    );
  }
  let highest = largestLane(i32x4.max_s(largest, other));
  // The last word of a tile may have elements beyond its end.
  if (n & 63) memory.fill(marks, 0, 8);
  for (let bit = 0; i < n; i++, bit++, gradient += 4, residual += 4) {
    const g = load<f32>(gradient);
    const c = g + load<f32>(residual) * factor;
    if (arrays > 0) {
      let left = c * inverse;
      if (arrays > 1) {
        const u = (g + load<f32>(velocity) * velocityFactor) * inverse;
        store<f32>(nextVelocity, u);
        left += u * momentum;
        velocity += 4;
        nextVelocity += 4;
      }
      store<f32>(next, left);
      next += 4;
    }
    const bits = magnitude(c);
    highest = max(highest, bits);
    store<u16>(marks, u16(i32(load<u16>(marks)) | (i32(bits >= least) << bit)));
  }
  return highest;
}

/** Lists `count` elements from `start` on at `positions` and `values`. */
function list(
  gradient: usize, residual: usize, start: i32, count: i32, factor: f32, positions: usize, values: usize,
): void {
  for (let i = start; i < start + count; i++, positions += 4, values += 4) {
    store<i32>(positions, i);
    store<f32>(values, sumAt(gradient, residual, i, factor));
  }
}

/** Adds to a list of all that is not zero the first zeros of the block, in their places, until it holds `k`. */
function withZeros(
  gradient: usize, residual: usize, k: i32, factor: f32, positions: usize, values: usize, listed: i32,
): void {
  const zeros = k - listed;
  // Behind the last zero taken nothing changes; up to it no element of the block is left out.
  let within = 0;
  while (within < listed && load<i32>(positions + (within << 2)) - within < zeros) within++;
  const from = within << 2;
  const to = (within + zeros) << 2;
  memory.copy(positions + to, positions + from, (listed - within) << 2);
  memory.copy(values + to, values + from, (listed - within) << 2);
  list(gradient, residual, 0, within + zeros, factor, positions, values);
}

/** Leaves of what is listed, or where the guess was wrong of the whole block, the `k` that travel. */
function select(
  gradient: usize, residual: usize, n: i32, k: i32, factor: f32, counts: usize, positions: usize, values: usize,
  room: i32, listed: i32,
): void {
  // Where the guess was wrong the whole block goes through the list, as much at a time as it holds.
  const guessed = listed >= k;
  let least = 0;
  let equals = k;
  for (let shift = 20; shift >= 0; shift -= 10) {
    const bits = shift == 20 ? 11 : 10;
    memory.fill(counts, 0, 4 << bits);
    if (guessed) count(values, listed, least, shift, bits, counts);
    else
      for (let start = 0; start < n; start += room) {
        const some = min(room, n - start);
        list(gradient, residual, start, some, factor, positions, values);
        count(values, some, least, shift, bits, counts);
      }
    const reached = reach(counts, 1 << bits, equals);
    least = (least << bits) | i32(reached);
    equals -= i32(reached >> 32);
  }
  // `least` is now the k-th largest magnitude; `equals` of those that are just that large travel, the first.
  let taken = 0;
  for (let start = 0; taken < k; ) {
    const some = guessed ? listed : min(room - taken, n - start);
    if (!guessed)
      list(gradient, residual, start, some, factor, positions + (taken << 2), values + (taken << 2));
    const end = taken + some;
    for (let from = taken; from < end; from++) {
      const x = load<f32>(values + (from << 2));
      const bits = magnitude(x);
      if (bits < least || (bits == least && equals == 0)) continue;
      equals -= i32(bits == least);
      store<i32>(positions + (taken << 2), load<i32>(positions + (from << 2)));
      store<f32>(values + (taken << 2), x);
      taken++;
    }
    start += some;
  }
}

/**
 * The payload of the `k` largest of what `gatherTopK` was given, in the room it worked in. With a `next` each element
 * that travels leaves there only what fp16 lost, and no velocity; without, what travels is added to the residual.
 */
export function packTopK(
  gradient: usize, residual: usize, n: i32, k: i32, factor: f32, inverse: f32, scale: f32, inverseScale: f32,
  dst: usize, next: usize, nextVelocity: usize, work: usize, workBytes: i32,
): void {
  const counts = work + COUNTS_AT;
  const positions = work + LIST_AT;
  const room = listMax(workBytes);
  const values = positions + (room << 2);
  const listed = load<i32>(work + LISTED_AT);
  if (load<i32>(work + ALL_LISTED_AT) && listed < k) withZeros(gradient, residual, k, factor, positions, values, listed);
  else select(gradient, residual, n, k, factor, counts, positions, values, room, listed);
  packPositions(positions, n, k, dst);
  packValues(values, k, scale, inverseScale, dst + 4 + upperBytes(n, k) + k, !next);
  if (!next) {
    for (let j = 0; j < k; j++) {
      const at = residual + (load<i32>(positions + (j << 2)) << 2);
      store<f32>(at, load<f32>(at) + load<f32>(values + (j << 2)));
    }
    return;
  }
  for (let j = 0; j < k; j++) {
    const at = load<i32>(positions + (j << 2)) << 2;
    store<f32>(next + at, load<f32>(values + (j << 2)) * inverse);
    if (nextVelocity) store<f32>(nextVelocity + at, 0);
  }
}
