// The optimizers with rules of their own (adagrad, rmsprop, adamw, lion), and the pass over a gradient that
// clips and regularizes it before any of them, and lamb's direction. In place, one pass over a block, with the habits of optimize.ts:
// the largest new magnitude is returned as bits, what decays is cut to zero where it would go denormal, and a
// tail element is taken as a vector of four copies.
import { flush, larger, read, write } from './optimize';
import { largestLane } from './reduce';

/** -1, 0 or 1 by lane; NaN stays NaN, so that it is seen in what comes out. */
// @ts-ignore: decorator
@inline
function sign(x: v128): v128 {
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

// @ts-ignore: decorator
@inline
function adagradVector(
  param: usize, sum: usize, gradient: usize, scale: v128, rate: v128, eps: v128, tail: bool,
): v128 {
  const g = f32x4.mul(read(gradient, tail), scale);
  const a = flush(f32x4.add(read(sum, tail), f32x4.mul(g, g)));
  const p = f32x4.sub(read(param, tail), f32x4.div(f32x4.mul(g, rate), f32x4.sqrt(f32x4.add(a, eps))));
  write(sum, a, tail);
  write(param, p, tail);
  return p;
}

/** a += g * g; p -= learningRate * g / sqrt(a + epsilon). */
export function adagrad(
  param: usize, sum: usize, gradient: usize, n: i32, gradientScale: f32, learningRate: f32, epsilon: f32,
): i32 {
  const scale = f32x4.splat(gradientScale);
  const rate = f32x4.splat(learningRate);
  const eps = f32x4.splat(epsilon);
  let largest = i32x4.splat(0);
  const whole = n & ~15;
  let i = 0;
  for (; i < whole; i += 16, param += 64, sum += 64, gradient += 64) {
    largest = larger(
      largest,
      adagradVector(param, sum, gradient, scale, rate, eps, false),
    );
    largest = larger(
      largest,
      adagradVector(param + 16, sum + 16, gradient + 16, scale, rate, eps, false),
    );
    largest = larger(
      largest,
      adagradVector(param + 32, sum + 32, gradient + 32, scale, rate, eps, false),
    );
    largest = larger(
      largest,
      adagradVector(param + 48, sum + 48, gradient + 48, scale, rate, eps, false),
    );
  }
  for (; i < n; i++, param += 4, sum += 4, gradient += 4) {
    largest = larger(largest, adagradVector(param, sum, gradient, scale, rate, eps, true));
  }
  return largestLane(largest);
}

// @ts-ignore: decorator
@inline
function rmspropVector(
  param: usize, square: usize, velocity: usize, mean: usize, gradient: usize,
  scale: v128, rate: v128, rho: v128, gain: v128, mu: v128, eps: v128,
  moving: bool, centered: bool, tail: bool,
): v128 {
  const g = f32x4.mul(read(gradient, tail), scale);
  const s = flush(f32x4.add(f32x4.mul(read(square, tail), rho), f32x4.mul(f32x4.mul(g, g), gain)));
  write(square, s, tail);
  let variance = s;
  if (centered) {
    const m = flush(f32x4.add(f32x4.mul(read(mean, tail), rho), f32x4.mul(g, gain)));
    write(mean, m, tail);
    // Never negative but by rounding.
    variance = f32x4.max(f32x4.sub(s, f32x4.mul(m, m)), f32x4.splat(0));
  }
  let step = f32x4.div(f32x4.mul(g, rate), f32x4.sqrt(f32x4.add(variance, eps)));
  if (moving) {
    step = flush(f32x4.add(f32x4.mul(read(velocity, tail), mu), step));
    write(velocity, step, tail);
  }
  const p = f32x4.sub(read(param, tail), step);
  write(param, p, tail);
  return p;
}

// @ts-ignore: decorator
@inline
function rmspropPass(
  param: usize, square: usize, velocity: usize, mean: usize, gradient: usize, n: i32,
  gradientScale: f32, learningRate: f32, decay: f32, gained: f32, coefficient: f32, epsilon: f32,
  moving: bool, centered: bool,
): i32 {
  const scale = f32x4.splat(gradientScale);
  const rate = f32x4.splat(learningRate);
  const rho = f32x4.splat(decay);
  const gain = f32x4.splat(gained);
  const mu = f32x4.splat(coefficient);
  const eps = f32x4.splat(epsilon);
  let largest = i32x4.splat(0);
  const whole = n & ~3;
  let i = 0;
  for (; i < whole; i += 4, param += 16, square += 16, velocity += 16, mean += 16, gradient += 16) {
    largest = larger(
      largest,
      rmspropVector(
        param, square, velocity, mean, gradient, scale, rate, rho, gain, mu, eps, moving, centered, false,
      ),
    );
  }
  for (; i < n; i++, param += 4, square += 4, velocity += 4, mean += 4, gradient += 4) {
    largest = larger(
      largest,
      rmspropVector(
        param, square, velocity, mean, gradient, scale, rate, rho, gain, mu, eps, moving, centered, true,
      ),
    );
  }
  return largestLane(largest);
}

/**
 * s = decay * s + gain * g * g; centered: m = decay * m + gain * g, and s - m * m in place of s below;
 * step = learningRate * g / sqrt(s + epsilon); with momentum: u = momentum * u + step, and u in its place;
 * p -= step. What is not in use is neither read nor written.
 */
export function rmsprop(
  param: usize, square: usize, velocity: usize, mean: usize, gradient: usize, n: i32,
  gradientScale: f32, learningRate: f32, decay: f32, gain: f32, momentum: f32, epsilon: f32,
  moving: i32, centered: i32,
): i32 {
  if (moving) {
    return centered
      ? rmspropPass(
          param, square, velocity, mean, gradient, n, gradientScale, learningRate, decay, gain, momentum, epsilon,
          true, true,
        )
      : rmspropPass(
          param, square, velocity, mean, gradient, n, gradientScale, learningRate, decay, gain, momentum, epsilon,
          true, false,
        );
  }
  return centered
    ? rmspropPass(
        param, square, velocity, mean, gradient, n, gradientScale, learningRate, decay, gain, momentum, epsilon,
        false, true,
      )
    : rmspropPass(
        param, square, velocity, mean, gradient, n, gradientScale, learningRate, decay, gain, momentum, epsilon,
        false, false,
      );
}

// @ts-ignore: decorator
@inline
function adamwVector(
  param: usize, first: usize, second: usize, gradient: usize,
  b1: v128, a1: v128, b2: v128, a2: v128, step: v128, eps: v128, shrink: v128, tail: bool,
): v128 {
  const g = read(gradient, tail);
  const old = read(param, tail);
  const m = flush(f32x4.add(f32x4.mul(read(first, tail), b1), f32x4.mul(g, a1)));
  const v = flush(f32x4.add(f32x4.mul(read(second, tail), b2), f32x4.mul(f32x4.mul(g, g), a2)));
  const change = f32x4.div(f32x4.mul(m, step), f32x4.add(f32x4.sqrt(v), eps));
  const p = f32x4.sub(old, f32x4.add(change, f32x4.mul(old, shrink)));
  write(first, m, tail);
  write(second, v, tail);
  write(param, p, tail);
  return p;
}

/** As adam, and p -= decayRate * p (of the old p) in the same step. */
export function adamw(
  param: usize, first: usize, second: usize, gradient: usize, n: i32,
  beta1: f32, gain1: f32, beta2: f32, gain2: f32, stepSize: f32, epsilon: f32, decayRate: f32,
): i32 {
  const b1 = f32x4.splat(beta1);
  const a1 = f32x4.splat(gain1);
  const b2 = f32x4.splat(beta2);
  const a2 = f32x4.splat(gain2);
  const step = f32x4.splat(stepSize);
  const eps = f32x4.splat(epsilon);
  const shrink = f32x4.splat(decayRate);
  let largest = i32x4.splat(0);
  const whole = n & ~15;
  let i = 0;
  for (; i < whole; i += 16, param += 64, first += 64, second += 64, gradient += 64) {
    largest = larger(
      largest,
      adamwVector(param, first, second, gradient, b1, a1, b2, a2, step, eps, shrink, false),
    );
    largest = larger(
      largest,
      adamwVector(param + 16, first + 16, second + 16, gradient + 16, b1, a1, b2, a2, step, eps, shrink, false),
    );
    largest = larger(
      largest,
      adamwVector(param + 32, first + 32, second + 32, gradient + 32, b1, a1, b2, a2, step, eps, shrink, false),
    );
    largest = larger(
      largest,
      adamwVector(param + 48, first + 48, second + 48, gradient + 48, b1, a1, b2, a2, step, eps, shrink, false),
    );
  }
  for (; i < n; i++, param += 4, first += 4, second += 4, gradient += 4) {
    largest = larger(
      largest,
      adamwVector(param, first, second, gradient, b1, a1, b2, a2, step, eps, shrink, true),
    );
  }
  return largestLane(largest);
}

// @ts-ignore: decorator
@inline
function lionVector(
  param: usize, moment: usize, gradient: usize,
  b1: v128, a1: v128, b2: v128, a2: v128, rate: v128, shrink: v128, tail: bool,
): v128 {
  const g = read(gradient, tail);
  const old = read(param, tail);
  const m = read(moment, tail);
  const direction = sign(f32x4.add(f32x4.mul(m, b1), f32x4.mul(g, a1)));
  const p = f32x4.sub(old, f32x4.add(f32x4.mul(direction, rate), f32x4.mul(old, shrink)));
  write(moment, flush(f32x4.add(f32x4.mul(m, b2), f32x4.mul(g, a2))), tail);
  write(param, p, tail);
  return p;
}

/** p -= learningRate * sign(beta1 * m + gain1 * g) + decayRate * p; m = beta2 * m + gain2 * g. */
export function lion(
  param: usize, moment: usize, gradient: usize, n: i32,
  beta1: f32, gain1: f32, beta2: f32, gain2: f32, learningRate: f32, decayRate: f32,
): i32 {
  const b1 = f32x4.splat(beta1);
  const a1 = f32x4.splat(gain1);
  const b2 = f32x4.splat(beta2);
  const a2 = f32x4.splat(gain2);
  const rate = f32x4.splat(learningRate);
  const shrink = f32x4.splat(decayRate);
  let largest = i32x4.splat(0);
  const whole = n & ~15;
  let i = 0;
  for (; i < whole; i += 16, param += 64, moment += 64, gradient += 64) {
    largest = larger(
      largest,
      lionVector(param, moment, gradient, b1, a1, b2, a2, rate, shrink, false),
    );
    largest = larger(
      largest,
      lionVector(param + 16, moment + 16, gradient + 16, b1, a1, b2, a2, rate, shrink, false),
    );
    largest = larger(
      largest,
      lionVector(param + 32, moment + 32, gradient + 32, b1, a1, b2, a2, rate, shrink, false),
    );
    largest = larger(
      largest,
      lionVector(param + 48, moment + 48, gradient + 48, b1, a1, b2, a2, rate, shrink, false),
    );
  }
  for (; i < n; i++, param += 4, moment += 4, gradient += 4) {
    largest = larger(largest, lionVector(param, moment, gradient, b1, a1, b2, a2, rate, shrink, true));
  }
  return largestLane(largest);
}

// @ts-ignore: decorator
@inline
function lambVector(
  param: usize, first: usize, second: usize, gradient: usize,
  b1: v128, a1: v128, b2: v128, a2: v128, step: v128, eps: v128, shrink: v128, tail: bool,
): void {
  const g = read(gradient, tail);
  const m = flush(f32x4.add(f32x4.mul(read(first, tail), b1), f32x4.mul(g, a1)));
  const v = flush(f32x4.add(f32x4.mul(read(second, tail), b2), f32x4.mul(f32x4.mul(g, g), a2)));
  const change = f32x4.div(f32x4.mul(m, step), f32x4.add(f32x4.sqrt(v), eps));
  write(first, m, tail);
  write(second, v, tail);
  write(gradient, f32x4.add(change, f32x4.mul(read(param, tail), shrink)), tail);
}

/** Moments as adam's; gradient = stepSize * m / (sqrt(v) + epsilon) + weightDecay * p. The parameters stay. */
export function lambDirection(
  param: usize, first: usize, second: usize, gradient: usize, n: i32,
  beta1: f32, gain1: f32, beta2: f32, gain2: f32, stepSize: f32, epsilon: f32, weightDecay: f32,
): void {
  const b1 = f32x4.splat(beta1);
  const a1 = f32x4.splat(gain1);
  const b2 = f32x4.splat(beta2);
  const a2 = f32x4.splat(gain2);
  const step = f32x4.splat(stepSize);
  const eps = f32x4.splat(epsilon);
  const shrink = f32x4.splat(weightDecay);
  const whole = n & ~3;
  let i = 0;
  for (; i < whole; i += 4, param += 16, first += 16, second += 16, gradient += 16) {
    lambVector(param, first, second, gradient, b1, a1, b2, a2, step, eps, shrink, false);
  }
  for (; i < n; i++, param += 4, first += 4, second += 4, gradient += 4) {
    lambVector(param, first, second, gradient, b1, a1, b2, a2, step, eps, shrink, true);
  }
}
