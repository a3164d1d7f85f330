// fp16 and bf16 to and from fp32, four or eight lanes at a time, without branches and without denormal
// operands (which cost a hundred cycles each on some processors). Used by convert.ts and accumulate.ts.

/** 2^-14, the smallest normal fp16, as fp32 bits. */
const SMALLEST_NORMAL: i32 = 0x38800000;
/** What lifts the exponent of x to that of the fp32 number whose last bit weighs as much as x's last bit in fp16. */
const LIFT: i32 = 13 << 23;
const TWO_98: f32 = reinterpret<f32>((98 + 127) << 23);
const TWO_112: f32 = reinterpret<f32>((127 + 112) << 23);
const TWO_MINUS_112: f32 = reinterpret<f32>((127 - 112) << 23);

/**
 * Magnitudes of four fp32 below 65520 as fp16 bits, rounded to nearest even.
 * Adding 2^(exponent + 13) makes the adder itself round the fraction to ten bits, for subnormals too.
 */
// @ts-ignore: decorator
@inline
function magnitudeF16(x: v128): v128 {
  const lifted = i32x4.max_s(
    i32x4.add(v128.and(x, i32x4.splat(0x7f800000)), i32x4.splat(LIFT)),
    i32x4.splat(SMALLEST_NORMAL + LIFT),
  );
  const fraction = i32x4.sub(f32x4.add(v128.and(x, i32x4.splat(0x7fffffff)), lifted), lifted);
  const exponent = i32x4.shr_u(i32x4.sub(lifted, i32x4.splat(SMALLEST_NORMAL + LIFT)), 13);
  return i32x4.add(fraction, exponent);
}

/** Eight fp32 as eight fp16, all of magnitudes below 65520: whoever scales them has their largest. */
// @ts-ignore: decorator
@inline
export function toF16(low: v128, high: v128): v128 {
  // Saturation keeps the sign of an i32 in the sign of its i16.
  const signs = v128.and(i16x8.narrow_i32x4_s(low, high), i16x8.splat(-32768));
  return v128.or(i16x8.narrow_i32x4_u(magnitudeF16(low), magnitudeF16(high)), signs);
}

/**
 * Four fp16, zero-extended to 32 bits, as fp32. With the exponent lifted by 224 infinity and NaN land where
 * fp32 has them; a subnormal comes out with an implicit one too many, so that 2f - 2^98 is the truth for it,
 * and the smaller of the two for everything.
 */
// @ts-ignore: decorator
@inline
export function fromF16(h: v128): v128 {
  const w = i32x4.shl(h, 13);
  const f = i32x4.add(v128.and(w, i32x4.splat(0x0fffe000)), i32x4.splat(224 << 23));
  const magnitude = f32x4.pmin(f, f32x4.sub(f32x4.add(f, f), f32x4.splat(TWO_98)));
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  return v128.or(f32x4.mul(magnitude, f32x4.splat(TWO_MINUS_112)), sign);
}

/**
 * Whether 32 fp16 are all zeros or normal numbers. Doubled, they have lost their signs: subnormals then lie below 2^11,
 * zeros apart, infinity and NaN from 31 * 2^11 on. (Subnormals would be decoded rightly as usual ones, too, but slowly on
 * the processors that are slow with fp32's: that is what they become before they are multiplied.)
 */
// @ts-ignore: decorator
@inline
export function areUsualF16(a: v128, b: v128, c: v128, d: v128): bool {
  const a2 = i16x8.shl(a, 1);
  const b2 = i16x8.shl(b, 1);
  const c2 = i16x8.shl(c, 1);
  const d2 = i16x8.shl(d, 1);
  const one = i16x8.splat(1);
  const largest = i16x8.max_u(i16x8.max_u(a2, b2), i16x8.max_u(c2, d2));
  // Zeros less one are the largest of all.
  const smallest = i16x8.min_u(
    i16x8.min_u(i16x8.sub(a2, one), i16x8.sub(b2, one)),
    i16x8.min_u(i16x8.sub(c2, one), i16x8.sub(d2, one)),
  );
  const tooLarge = i16x8.sub_sat_u(largest, i16x8.splat(i16(0xf7ff)));
  const tooSmall = i16x8.sub_sat_u(i16x8.splat(0x07ff), smallest);
  return !v128.any_true(v128.or(tooLarge, tooSmall));
}

/** What four usual fp16 are to be multiplied by, instead of `factor`: infinity where that is none of fp32's numbers. */
// @ts-ignore: decorator
@inline
export function usualFactorF16(factor: f32): f32 {
  return factor * TWO_112;
}

/** The lower four of eight usual fp16, times a factor of `usualFactorF16`: put into an fp32's bits, a half is 2^112 times too small. */
// @ts-ignore: decorator
@inline
export function lowUsualF16(h: v128, factor: v128): v128 {
  const bits = i8x16.shuffle(lowerBits(h), upperBits(h), 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
  return f32x4.mul(bits, factor);
}

/** The upper four. */
// @ts-ignore: decorator
@inline
export function highUsualF16(h: v128, factor: v128): v128 {
  const bits = i8x16.shuffle(
    lowerBits(h), upperBits(h), 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31,
  );
  return f32x4.mul(bits, factor);
}

// @ts-ignore: decorator
@inline
function lowerBits(h: v128): v128 {
  return i16x8.shl(h, 13);
}

/** Sign, exponent, and the fraction's first seven bits. */
// @ts-ignore: decorator
@inline
function upperBits(h: v128): v128 {
  return v128.and(i16x8.shr_s(h, 3), i16x8.splat(i16(0x8fff)));
}

/** The high halves of four fp32 as bf16 in the upper 16 bits, rounded to nearest even; NaN stays NaN, quieted. */
// @ts-ignore: decorator
@inline
function roundBf16(x: v128): v128 {
  const nan = f32x4.ne(x, x);
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  const up = v128.andnot(i32x4.add(odd, i32x4.splat(0x7fff)), nan);
  return i32x4.shr_u(v128.or(i32x4.add(x, up), v128.and(nan, i32x4.splat(0x00400000))), 16);
}

/** Eight fp32 as eight bf16. */
// @ts-ignore: decorator
@inline
export function toBf16(low: v128, high: v128): v128 {
  return i16x8.narrow_i32x4_u(roundBf16(low), roundBf16(high));
}

/** Four bf16, zero-extended to 32 bits, as fp32. */
// @ts-ignore: decorator
@inline
export function fromBf16(h: v128): v128 {
  return i32x4.shl(h, 16);
}
