// fp16 and bf16 to and from fp32, four or eight lanes at a time, without branches and without denormal
// operands (which cost a hundred cycles each on some processors). Used by convert.ts and accumulate.ts.

/** 2^-14, the smallest normal fp16, as fp32 bits. */
const SMALLEST_NORMAL: i32 = 0x38800000;
/** What lifts the exponent of x to that of the fp32 number whose last bit weighs as much as x's last bit in fp16. */
const LIFT: i32 = 13 << 23;
const TWO_98: f32 = reinterpret<f32>((98 + 127) << 23);
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
