// Optimizers that divide by the size of past gradients, adagrad and rmsprop, with the habits of optimize.ts: in
// place, one pass over a block, the largest new magnitude returned as bits, state that decays cut to zero where it
// would go denormal, a tail element taken as a vector of four copies.
import { flush, larger, read, write } from './optimize';
import { largestLane } from './reduce';

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
