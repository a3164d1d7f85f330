// The optimizers, in place, one pass over a block. The gradient comes as a sum; `gradientScale` (one over
// the samples) makes it the mean on the way. Each returns the magnitude bits of the largest new parameter,
// as absmaxBits would: the scale for sending them back is known, and so is whether one of them went wrong.
// State that decays towards nothing (an unused weight's moments) is cut to zero where fp32 would go
// denormal: it changes no update that could be seen, and denormals slow a processor down by far.
// A tail element is taken as a vector of four copies, of which one is written: no lane computes with
// anything but real numbers. Vectors are taken four at a time, since address arithmetic is what limits here.
import { largestLane } from './reduce';

const SMALLEST_NORMAL: f32 = reinterpret<f32>(0x00800000);

// @ts-ignore: decorator
@inline
export function read(pointer: usize, tail: bool): v128 {
  return tail ? v128.load_splat<u32>(pointer) : v128.load(pointer);
}

// @ts-ignore: decorator
@inline
export function write(pointer: usize, x: v128, tail: bool): void {
  if (tail) v128.store_lane<u32>(pointer, x, 0);
  else v128.store(pointer, x);
}

/** Zero in place of denormals. */
// @ts-ignore: decorator
@inline
export function flush(x: v128): v128 {
  return v128.andnot(x, f32x4.lt(f32x4.abs(x), f32x4.splat(SMALLEST_NORMAL)));
}

// @ts-ignore: decorator
@inline
export function larger(largest: v128, x: v128): v128 {
  return i32x4.max_s(largest, v128.and(x, i32x4.splat(0x7fffffff)));
}

// @ts-ignore: decorator
@inline
function sgdVector(param: usize, gradient: usize, scale: v128, rate: v128, tail: bool): v128 {
  const g = f32x4.mul(read(gradient, tail), scale);
  const p = f32x4.sub(read(param, tail), f32x4.mul(g, rate));
  write(param, p, tail);
  return p;
}

/** g = gradient * gradientScale; p -= learningRate * g. */
export function sgd(param: usize, gradient: usize, n: i32, gradientScale: f32, learningRate: f32): i32 {
  const scale = f32x4.splat(gradientScale);
  const rate = f32x4.splat(learningRate);
  let largest = i32x4.splat(0);
  const whole = n & ~15;
  let i = 0;
  for (; i < whole; i += 16, param += 64, gradient += 64) {
    largest = larger(largest, sgdVector(param, gradient, scale, rate, false));
    largest = larger(largest, sgdVector(param + 16, gradient + 16, scale, rate, false));
    largest = larger(largest, sgdVector(param + 32, gradient + 32, scale, rate, false));
    largest = larger(largest, sgdVector(param + 48, gradient + 48, scale, rate, false));
  }
  for (; i < n; i++, param += 4, gradient += 4) {
    largest = larger(largest, sgdVector(param, gradient, scale, rate, true));
  }
  return largestLane(largest);
}

// @ts-ignore: decorator
@inline
function momentumVector(
  param: usize, velocity: usize, gradient: usize,
  scale: v128, rate: v128, mu: v128, nesterov: bool, tail: bool,
): v128 {
  const g = f32x4.mul(read(gradient, tail), scale);
  const u = flush(f32x4.add(f32x4.mul(read(velocity, tail), mu), g));
  const direction = nesterov ? f32x4.add(g, f32x4.mul(u, mu)) : u;
  const p = f32x4.sub(read(param, tail), f32x4.mul(direction, rate));
  write(velocity, u, tail);
  write(param, p, tail);
  return p;
}

// @ts-ignore: decorator
@inline
function momentumPass(
  param: usize, velocity: usize, gradient: usize, n: i32,
  gradientScale: f32, learningRate: f32, coefficient: f32, nesterov: bool,
): i32 {
  const scale = f32x4.splat(gradientScale);
  const rate = f32x4.splat(learningRate);
  const mu = f32x4.splat(coefficient);
  let largest = i32x4.splat(0);
  const whole = n & ~15;
  let i = 0;
  for (; i < whole; i += 16, param += 64, velocity += 64, gradient += 64) {
    largest = larger(largest, momentumVector(param, velocity, gradient, scale, rate, mu, nesterov, false));
    largest = larger(
      largest,
      momentumVector(param + 16, velocity + 16, gradient + 16, scale, rate, mu, nesterov, false),
    );
    largest = larger(
      largest,
      momentumVector(param + 32, velocity + 32, gradient + 32, scale, rate, mu, nesterov, false),
    );
    largest = larger(
      largest,
      momentumVector(param + 48, velocity + 48, gradient + 48, scale, rate, mu, nesterov, false),
    );
  }
  for (; i < n; i++, param += 4, velocity += 4, gradient += 4) {
    largest = larger(largest, momentumVector(param, velocity, gradient, scale, rate, mu, nesterov, true));
  }
  return largestLane(largest);
}

/** u = momentum * u + g; p -= learningRate * (nesterov ? g + momentum * u : u). */
export function momentum(
  param: usize, velocity: usize, gradient: usize, n: i32,
  gradientScale: f32, learningRate: f32, coefficient: f32, nesterov: i32,
): i32 {
  return nesterov
    ? momentumPass(param, velocity, gradient, n, gradientScale, learningRate, coefficient, true)
    : momentumPass(param, velocity, gradient, n, gradientScale, learningRate, coefficient, false);
}

// @ts-ignore: decorator
@inline
function adamVector(
  param: usize, first: usize, second: usize, gradient: usize,
  b1: v128, a1: v128, b2: v128, a2: v128, step: v128, eps: v128, tail: bool,
): v128 {
  const g = read(gradient, tail);
  const m = flush(f32x4.add(f32x4.mul(read(first, tail), b1), f32x4.mul(g, a1)));
  const sum = f32x4.add(f32x4.mul(read(second, tail), b2), f32x4.mul(f32x4.mul(g, g), a2));
  // Never negative, so that flushing it needs no magnitude.
  const v = v128.andnot(sum, f32x4.lt(sum, f32x4.splat(SMALLEST_NORMAL)));
  const p = f32x4.sub(read(param, tail), f32x4.div(f32x4.mul(m, step), f32x4.add(f32x4.sqrt(v), eps)));
  write(first, m, tail);
  write(second, v, tail);
  write(param, p, tail);
  return p;
}

/**
 * m = beta1 * m + gain1 * g; v = beta2 * v + gain2 * g * g; p -= stepSize * m / (sqrt(v) + epsilon), where g is
 * the sum of gradients. The caller folds what it can into the scalars: 1 - beta and the gradient's scale into
 * the gains, and the bias corrections c1 = 1 - beta1^t, c2 = 1 - beta2^t into
 * stepSize = learningRate * sqrt(c2) / c1 and epsilon = its epsilon * sqrt(c2)
 * (Kingma and Ba, "Adam", ICLR 2015, end of section 2).
 */
export function adam(
  param: usize, first: usize, second: usize, gradient: usize, n: i32,
  beta1: f32, gain1: f32, beta2: f32, gain2: f32, stepSize: f32, epsilon: f32,
): i32 {
  const b1 = f32x4.splat(beta1);
  const a1 = f32x4.splat(gain1);
  const b2 = f32x4.splat(beta2);
  const a2 = f32x4.splat(gain2);
  const step = f32x4.splat(stepSize);
  const eps = f32x4.splat(epsilon);
  let largest = i32x4.splat(0);
  const whole = n & ~15;
  let i = 0;
  for (; i < whole; i += 16, param += 64, first += 64, second += 64, gradient += 64) {
    largest = larger(largest, adamVector(param, first, second, gradient, b1, a1, b2, a2, step, eps, false));
    largest = larger(
      largest,
      adamVector(param + 16, first + 16, second + 16, gradient + 16, b1, a1, b2, a2, step, eps, false),
    );
    largest = larger(
      largest,
      adamVector(param + 32, first + 32, second + 32, gradient + 32, b1, a1, b2, a2, step, eps, false),
    );
    largest = larger(
      largest,
      adamVector(param + 48, first + 48, second + 48, gradient + 48, b1, a1, b2, a2, step, eps, false),
    );
  }
  for (; i < n; i++, param += 4, first += 4, second += 4, gradient += 4) {
    largest = larger(largest, adamVector(param, first, second, gradient, b1, a1, b2, a2, step, eps, true));
  }
  return largestLane(largest);
}
