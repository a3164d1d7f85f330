// What one number says of many: the largest magnitude (which is also the test for NaN and infinity) and the
// sum of squares. The order of every sum is fixed, so that the same numbers give the same bits everywhere.

/** The largest of four non-negative i32. */
// @ts-ignore: decorator
@inline
export function largestLane(x: v128): i32 {
  const a = i32x4.max_s(x, i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const b = i32x4.max_s(a, i8x16.shuffle(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  return i32x4.extract_lane(b, 0);
}

/** The larger of four magnitudes and those of a line of 16 elements. */
// @ts-ignore: decorator
@inline
function lineAbsmax(largest: v128, line: usize): v128 {
  const mask = i32x4.splat(0x7fffffff);
  const a = i32x4.max_s(v128.and(v128.load(line), mask), v128.and(v128.load(line, 16), mask));
  const b = i32x4.max_s(v128.and(v128.load(line, 32), mask), v128.and(v128.load(line, 48), mask));
  return i32x4.max_s(largest, i32x4.max_s(a, b));
}

/**
 * Bits of the largest magnitude of `n` fp32: as integers, magnitudes are ordered as the numbers are, with
 * infinity above all numbers and NaN above infinity. Read at four places in turn: memory gives more to several streams.
 */
export function absmaxBits(src: usize, n: i32): i32 {
  const mask = i32x4.splat(0x7fffffff);
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const quarter = (n >> 6) << 4;
  const bytes = usize(quarter) << 2;
  for (const end = src + bytes; src < end; src += 64) {
    a = lineAbsmax(a, src);
    b = lineAbsmax(b, src + bytes);
    c = lineAbsmax(c, src + 2 * bytes);
    d = lineAbsmax(d, src + 3 * bytes);
  }
  src += 3 * bytes;
  for (let i = quarter << 2; i < n; i++, src += 4) a = i32x4.max_s(a, v128.and(v128.load_splat<u32>(src), mask));
  return largestLane(i32x4.max_s(i32x4.max_s(a, b), i32x4.max_s(c, d)));
}

/**
 * 1 if the magnitude bits of all `n` halves are below `limit`, else 0. With infinity's bits as the limit
 * (0x7c00 in fp16, 0x7f80 in bf16) this says whether all are finite.
 */
export function halvesBelow(src: usize, n: i32, limit: i32): i32 {
  const mask = i16x8.splat(0x7fff);
  let a = i16x8.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const whole = n & ~31;
  let i = 0;
  for (; i < whole; i += 32, src += 64) {
    a = i16x8.max_s(a, v128.and(v128.load(src), mask));
    b = i16x8.max_s(b, v128.and(v128.load(src, 16), mask));
    c = i16x8.max_s(c, v128.and(v128.load(src, 32), mask));
    d = i16x8.max_s(d, v128.and(v128.load(src, 48), mask));
  }
  for (; i < n; i++, src += 2) {
    a = i16x8.max_s(a, v128.and(v128.load_splat<u16>(src), mask));
  }
  const largest = i16x8.max_s(i16x8.max_s(a, b), i16x8.max_s(c, d));
  return i32(!v128.any_true(i16x8.ge_s(largest, i16x8.splat(i16(limit)))));
}

/**
 * Sum of squares of `n` fp32 in float64: element i goes into sum i mod 8, the eight sums are added as
 * ((0+1)+(2+3)) + ((4+5)+(6+7)). A square of an fp32 is exact in float64.
 */
export function sumOfSquares(src: usize, n: i32): f64 {
  let s01 = f64x2.splat(0);
  let s23 = s01;
  let s45 = s01;
  let s67 = s01;
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src += 32) {
    const low = v128.load(src);
    const high = v128.load(src, 16);
    const x01 = f64x2.promote_low_f32x4(low);
    const x23 = f64x2.promote_low_f32x4(i8x16.shuffle(low, low, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    const x45 = f64x2.promote_low_f32x4(high);
    const x67 = f64x2.promote_low_f32x4(i8x16.shuffle(high, high, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    s01 = f64x2.add(s01, f64x2.mul(x01, x01));
    s23 = f64x2.add(s23, f64x2.mul(x23, x23));
    s45 = f64x2.add(s45, f64x2.mul(x45, x45));
    s67 = f64x2.add(s67, f64x2.mul(x67, x67));
  }
  for (; i < n; i++, src += 4) {
    // Adding +0 to the other sums changes no bit of them: none is ever -0.
    const x = f64(load<f32>(src));
    const square = x * x;
    const lane = i & 7;
    s01 = f64x2.add(s01, f64x2(lane == 0 ? square : 0, lane == 1 ? square : 0));
    s23 = f64x2.add(s23, f64x2(lane == 2 ? square : 0, lane == 3 ? square : 0));
    s45 = f64x2.add(s45, f64x2(lane == 4 ? square : 0, lane == 5 ? square : 0));
    s67 = f64x2.add(s67, f64x2(lane == 6 ? square : 0, lane == 7 ? square : 0));
  }
  return (
    f64x2.extract_lane(s01, 0) + f64x2.extract_lane(s01, 1) +
    (f64x2.extract_lane(s23, 0) + f64x2.extract_lane(s23, 1)) +
    (f64x2.extract_lane(s45, 0) + f64x2.extract_lane(s45, 1) +
      (f64x2.extract_lane(s67, 0) + f64x2.extract_lane(s67, 1)))
  );
}
