// The pass over a gradient before any optimizer: a sum becomes a mean that is clipped and regularized, in place.
// A tail element is taken as a vector of four copies, as in optimize.ts.
import { read, write } from './optimize';

/** -1, 0 or 1 by lane; NaN stays NaN, so that it is seen in what comes out. */
// @ts-ignore: decorator
@inline
export function sign(x: v128): v128 {
  const one = v128.or(v128.and(x, i32x4.splat(0x80000000)), f32x4.splat(1));
  return v128.bitselect(v128.and(one, f32x4.ne(x, f32x4.splat(0))), x, f32x4.eq(x, x));
}

// @ts-ignore: decorator
@inline
function prepareVector(
  gradient: usize, param: usize, scale: v128, low: v128, high: v128, first: v128, second: v128, tail: bool,
): void {
  const mean = f32x4.mul(read(gradient, tail), scale);
  const p = read(param, tail);
  const penalty = f32x4.add(f32x4.mul(p, second), f32x4.mul(sign(p), first));
  write(gradient, f32x4.add(f32x4.max(f32x4.min(mean, high), low), penalty), tail);
}

/** gradient = clamp(gradient * gradientScale, ±clip) + (l2Slope * p + l1 * sign(p)). */
export function prepareGradient(
  gradient: usize, param: usize, n: i32, gradientScale: f32, clip: f32, l1: f32, l2Slope: f32,
): void {
  const scale = f32x4.splat(gradientScale);
  const low = f32x4.splat(-clip);
  const high = f32x4.splat(clip);
  const first = f32x4.splat(l1);
  const second = f32x4.splat(l2Slope);
  const whole = n & ~15;
  let i = 0;
  for (; i < whole; i += 16, gradient += 64, param += 64) {
    prepareVector(gradient, param, scale, low, high, first, second, false);
    prepareVector(gradient + 16, param + 16, scale, low, high, first, second, false);
    prepareVector(gradient + 32, param + 32, scale, low, high, first, second, false);
    prepareVector(gradient + 48, param + 48, scale, low, high, first, second, false);
  }
  for (; i < n; i++, gradient += 4, param += 4) {
    prepareVector(gradient, param, scale, low, high, first, second, true);
  }
}
