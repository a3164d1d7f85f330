// One bit an element: the sign of c = gradient + residual * factor, with c's mean magnitude for all of them.
// What that leaves of c is the next residual. Karimireddy et al., "Error feedback fixes SignSGD", ICML 2019.

/** The magnitudes of two fp32 in the low half of x, as fp64. */
// @ts-ignore: decorator
@inline
function lowMagnitudes(x: v128): v128 {
  return f64x2.abs(f64x2.promote_low_f32x4(x));
}

// @ts-ignore: decorator
@inline
function highMagnitudes(x: v128): v128 {
  return lowMagnitudes(i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
}

/**
 * c into `next`; its mean magnitude, rounded to fp32. The sum is taken in fp64: element i into sum i mod 4, at the
 * end (0 + 1) + (2 + 3).
 */
function sumAndMean(gradient: usize, residual: usize, n: i32, factor: f32, next: usize): f32 {
  const f = f32x4.splat(factor);
  let s01 = f64x2.splat(0);
  let s23 = s01;
  const whole = n & ~3;
  let i = 0;
  for (; i < whole; i += 4, gradient += 16, residual += 16, next += 16) {
    const c = f32x4.add(v128.load(gradient), f32x4.mul(v128.load(residual), f));
    v128.store(next, c);
    s01 = f64x2.add(s01, lowMagnitudes(c));
    s23 = f64x2.add(s23, highMagnitudes(c));
  }
  for (; i < n; i++, gradient += 4, residual += 4, next += 4) {
    const c = load<f32>(gradient) + load<f32>(residual) * factor;
    store<f32>(next, c);
    const magnitude = abs(f64(c));
    const lane = i & 3;
    s01 = f64x2.add(s01, f64x2(lane == 0 ? magnitude : 0, lane == 1 ? magnitude : 0));
    s23 = f64x2.add(s23, f64x2(lane == 2 ? magnitude : 0, 0));
  }
  const sum =
    f64x2.extract_lane(s01, 0) + f64x2.extract_lane(s01, 1) +
    (f64x2.extract_lane(s23, 0) + f64x2.extract_lane(s23, 1));
  return f32(sum / f64(n));
}

/** Encodes the signs, the first element in the lowest bit; next = (c - decoded) * inverse. Returns the mean magnitude. */
export function packSign(
  gradient: usize, residual: usize, n: i32, factor: f32, inverse: f32, dst: usize, next: usize,
): f32 {
  const mean = sumAndMean(gradient, residual, n, factor, next);
  const m = f32x4.splat(mean);
  const unscale = f32x4.splat(inverse);
  const signs = i32x4.splat(0x80000000);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, next += 32, dst++) {
    const low = v128.load(next);
    const high = v128.load(next, 16);
    store<u8>(dst, u8(i32x4.bitmask(low) | (i32x4.bitmask(high) << 4)));
    v128.store(next, f32x4.mul(f32x4.sub(low, v128.or(v128.and(low, signs), m)), unscale));
    v128.store(next, f32x4.mul(f32x4.sub(high, v128.or(v128.and(high, signs), m)), unscale), 16);
  }
  let last = 0;
  for (let bit = 0; i < n; i++, bit++, next += 4) {
    const c = load<f32>(next);
    const negative = reinterpret<u32>(c) >> 31;
    last |= negative << bit;
    store<f32>(next, (c - (negative ? -mean : mean)) * inverse);
  }
  if (n & 7) store<u8>(dst, u8(last));
  return mean;
}

/** Four elements: `value` with the sign of bits 0 to 3. */
// @ts-ignore: decorator
@inline
function fromBits(bits: i32, value: v128): v128 {
  const sign = i32x4.mul(i32x4.splat(bits), i32x4(0x80000000, 0x40000000, 0x20000000, 0x10000000));
  return v128.xor(v128.and(sign, i32x4.splat(0x80000000)), value);
}

/** dst[i] = value, negative where the bit is set. */
export function unpackSign(src: usize, n: i32, value: f32, dst: usize): void {
  const v = f32x4.splat(value);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src++, dst += 32) {
    const bits = i32(load<u8>(src));
    v128.store(dst, fromBits(bits, v));
    v128.store(dst, fromBits(bits >> 4, v), 16);
  }
  for (let bit = 0; i < n; i++, bit++, dst += 4) {
    store<f32>(dst, (i32(load<u8>(src)) >> bit) & 1 ? -value : value);
  }
}

/** acc[i] += value, -value where the bit is set. */
export function addSign(src: usize, n: i32, value: f32, acc: usize): void {
  const v = f32x4.splat(value);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src++, acc += 32) {
    const bits = i32(load<u8>(src));
    v128.store(acc, f32x4.add(v128.load(acc), fromBits(bits, v)));
    v128.store(acc, f32x4.add(v128.load(acc, 16), fromBits(bits >> 4, v)), 16);
  }
  for (let bit = 0; i < n; i++, bit++, acc += 4) {
    store<f32>(acc, load<f32>(acc) + ((i32(load<u8>(src)) >> bit) & 1 ? -value : value));
  }
}
