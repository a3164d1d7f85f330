// The optimizers, in place, one pass over a block. The gradient comes as a sum; `gradientScale` (one over
// the samples) makes it the mean on the way. Each returns the magnitude bits of the largest new parameter,
// as absmaxBits would: the scale for sending them back is known, and so is whether one of them went wrong.
// State that decays towards nothing (an unused weight's moments) is cut to zero where fp32 would go
// denormal: it changes no update that could be seen, and denormals slow a processor down by far.
import { largestLane } from './reduce';

const SMALLEST_NORMAL: f32 = reinterpret<f32>(0x00800000);

// @ts-ignore: decorator
@inline
function flush(x: v128): v128 {
  return v128.andnot(x, f32x4.lt(f32x4.abs(x), f32x4.splat(SMALLEST_NORMAL)));
}

// @ts-ignore: decorator
@inline
function larger(largest: v128, x: v128): v128 {
  return i32x4.max_s(largest, v128.and(x, i32x4.splat(0x7fffffff)));
}

/** p -= learningRate * g. */
export function sgd(param: usize, gradient: usize, n: i32, gradientScale: f32, learningRate: f32): i32 {
  const gs = f32x4.splat(gradientScale);
  const lr = f32x4.splat(learningRate);
  let largest = i32x4.splat(0);
  const whole = n & ~3;
  let i = 0;
  for (; i < whole; i += 4, param += 16, gradient += 16) {
    const g = f32x4.mul(v128.load(gradient), gs);
    const p = f32x4.sub(v128.load(param), f32x4.mul(g, lr));
    v128.store(param, p);
    largest = larger(largest, p);
  }
  for (; i < n; i++, param += 4, gradient += 4) {
    const g = f32x4.mul(v128.load_splat<u32>(gradient), gs);
    const p = f32x4.sub(v128.load_splat<u32>(param), f32x4.mul(g, lr));
    v128.store_lane<u32>(param, p, 0);
    largest = larger(largest, p);
  }
  return largestLane(largest);
}

/** The step of momentum, given its new velocity. */
// @ts-ignore: decorator
@inline
function momentumStep(p: v128, g: v128, velocity: v128, mu: v128, lr: v128, nesterov: bool): v128 {
  const direction = nesterov ? f32x4.add(g, f32x4.mul(velocity, mu)) : velocity;
  return f32x4.sub(p, f32x4.mul(direction, lr));
}

// @ts-ignore: decorator
@inline
function momentumPass(
  param: usize, velocity: usize, gradient: usize, n: i32,
  gradientScale: f32, learningRate: f32, coefficient: f32, nesterov: bool,
): i32 {
  const gs = f32x4.splat(gradientScale);
  const lr = f32x4.splat(learningRate);
  const mu = f32x4.splat(coefficient);
  let largest = i32x4.splat(0);
  const whole = n & ~3;
  let i = 0;
  for (; i < whole; i += 4, param += 16, velocity += 16, gradient += 16) {
    const g = f32x4.mul(v128.load(gradient), gs);
    const u = flush(f32x4.add(f32x4.mul(v128.load(velocity), mu), g));
    const p = momentumStep(v128.load(param), g, u, mu, lr, nesterov);
    v128.store(velocity, u);
    v128.store(param, p);
    largest = larger(largest, p);
  }
  for (; i < n; i++, param += 4, velocity += 4, gradient += 4) {
    const g = f32x4.mul(v128.load_splat<u32>(gradient), gs);
    const u = flush(f32x4.add(f32x4.mul(v128.load_splat<u32>(velocity), mu), g));
    const p = momentumStep(v128.load_splat<u32>(param), g, u, mu, lr, nesterov);
    v128.store_lane<u32>(velocity, u, 0);
    v128.store_lane<u32>(param, p, 0);
    largest = larger(largest, p);
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

/**
 * m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g * g; p -= stepSize * m / (sqrt(v) + epsilon).
 * The caller folds the bias corrections c1 = 1 - beta1^t, c2 = 1 - beta2^t into
 * stepSize = learningRate * sqrt(c2) / c1 and epsilon = its epsilon * sqrt(c2)
 * (Kingma and Ba, "Adam", ICLR 2015, end of section 2).
 */
export function adam(
  param: usize, first: usize, second: usize, gradient: usize, n: i32, gradientScale: f32,
  beta1: f32, oneMinusBeta1: f32, beta2: f32, oneMinusBeta2: f32, stepSize: f32, epsilon: f32,
): i32 {
  const gs = f32x4.splat(gradientScale);
  const b1 = f32x4.splat(beta1);
  const a1 = f32x4.splat(oneMinusBeta1);
  const b2 = f32x4.splat(beta2);
  const a2 = f32x4.splat(oneMinusBeta2);
  const step = f32x4.splat(stepSize);
  const eps = f32x4.splat(epsilon);
  let largest = i32x4.splat(0);
  const whole = n & ~3;
  let i = 0;
  for (; i < whole; i += 4, param += 16, first += 16, second += 16, gradient += 16) {
    const g = f32x4.mul(v128.load(gradient), gs);
    const m = flush(f32x4.add(f32x4.mul(v128.load(first), b1), f32x4.mul(g, a1)));
    const v = flush(f32x4.add(f32x4.mul(v128.load(second), b2), f32x4.mul(f32x4.mul(g, g), a2)));
    const p = f32x4.sub(v128.load(param), f32x4.div(f32x4.mul(m, step), f32x4.add(f32x4.sqrt(v), eps)));
    v128.store(first, m);
    v128.store(second, v);
    v128.store(param, p);
    largest = larger(largest, p);
  }
  for (; i < n; i++, param += 4, first += 4, second += 4, gradient += 4) {
    const g = f32x4.mul(v128.load_splat<u32>(gradient), gs);
    const m = flush(f32x4.add(f32x4.mul(v128.load_splat<u32>(first), b1), f32x4.mul(g, a1)));
    const v = flush(f32x4.add(f32x4.mul(v128.load_splat<u32>(second), b2), f32x4.mul(f32x4.mul(g, g), a2)));
    const p = f32x4.sub(v128.load_splat<u32>(param), f32x4.div(f32x4.mul(m, step), f32x4.add(f32x4.sqrt(v), eps)));
    v128.store_lane<u32>(first, m, 0);
    v128.store_lane<u32>(second, v, 0);
    v128.store_lane<u32>(param, p, 0);
    largest = larger(largest, p);
  }
  return largestLane(largest);
}
