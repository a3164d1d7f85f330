// Optimizers that decay weights apart from the gradient: adamw, lion, and the direction of lamb. With the habits of
// optimize.ts: in place, one pass over a block, the largest new magnitude returned as bits, state that decays cut to
// zero where it would go denormal, a tail element taken as a vector of four copies.
import { flush, larger, read, write } from './optimize';
import { sign } from './prepare';
import { largestLane } from './reduce';

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
