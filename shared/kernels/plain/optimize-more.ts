// Plain twins of assembly/optimize-more.ts: the same operations in the same order, each rounded to fp32, so that
// the bits are those of the SIMD ones. The optimizers return the largest magnitude of the new parameters, NaN if
// any is NaN.
import { flush, larger } from './optimize.js';

const { fround, max, min, sign, sqrt } = Math;

/** gradient = clamp(gradient · gradientScale, ±clipValue) + (2 · l2 · p + l1 · sign(p)), in place. */
export function prepareGradient(
  gradient: Float32Array,
  param: Float32Array,
  options: { gradientScale: number; clipValue: number; l1: number; l2: number },
): void {
  const scale = fround(options.gradientScale);
  const clip = fround(options.clipValue);
  const l1 = fround(options.l1);
  const slope = fround(2 * options.l2);
  for (let i = 0; i < gradient.length; i++) {
    const mean = fround(gradient[i] * scale);
    // `+ 0` makes the sign of -0 a +0, as a cleared lane has it.
    const penalty = fround(fround(param[i] * slope) + fround((sign(param[i]) + 0) * l1));
    gradient[i] = max(min(mean, clip), -clip) + penalty;
  }
}

export function adagrad(
  param: Float32Array,
  sum: Float32Array,
  gradient: Float32Array,
  options: { gradientScale: number; learningRate: number; epsilon: number },
): number {
  const scale = fround(options.gradientScale);
  const learningRate = fround(options.learningRate);
  const epsilon = fround(options.epsilon);
  let largest = 0;
  for (let i = 0; i < param.length; i++) {
    const g = fround(gradient[i] * scale);
    const a = flush(fround(sum[i] + fround(g * g)));
    sum[i] = a;
    param[i] -= fround(fround(g * learningRate) / fround(sqrt(fround(a + epsilon))));
    largest = larger(largest, param[i]);
  }
  return largest;
}

/** `velocity` is used where momentum is above 0, `mean` where centered. */
export function rmsprop(
  param: Float32Array,
  slots: { square: Float32Array; velocity?: Float32Array; mean?: Float32Array },
  gradient: Float32Array,
  options: { gradientScale: number; learningRate: number; decay: number; momentum: number; epsilon: number },
): number {
  const { square, velocity, mean } = slots;
  const scale = fround(options.gradientScale);
  const learningRate = fround(options.learningRate);
  const decay = fround(options.decay);
  const gain = fround(1 - options.decay);
  const mu = fround(options.momentum);
  const epsilon = fround(options.epsilon);
  let largest = 0;
  for (let i = 0; i < param.length; i++) {
    const g = fround(gradient[i] * scale);
    const s = flush(fround(fround(square[i] * decay) + fround(fround(g * g) * gain)));
    square[i] = s;
    let variance = s;
    if (mean) {
      const m = flush(fround(fround(mean[i] * decay) + fround(g * gain)));
      mean[i] = m;
      variance = max(fround(s - fround(m * m)), 0);
    }
    let step = fround(fround(g * learningRate) / fround(sqrt(fround(variance + epsilon))));
    if (velocity) {
      step = flush(fround(fround(velocity[i] * mu) + step));
      velocity[i] = step;
    }
    param[i] -= step;
    largest = larger(largest, param[i]);
  }
  return largest;
}

export function adamw(
  param: Float32Array,
  firstMoment: Float32Array,
  secondMoment: Float32Array,
  gradient: Float32Array,
  options: {
    gradientScale: number;
    beta1: number;
    beta2: number;
    stepSize: number;
    epsilon: number;
    decayRate: number;
  },
): number {
  const beta1 = fround(options.beta1);
  const beta2 = fround(options.beta2);
  const gain1 = fround((1 - options.beta1) * options.gradientScale);
  const gain2 = fround((1 - options.beta2) * options.gradientScale * options.gradientScale);
  const stepSize = fround(options.stepSize);
  const epsilon = fround(options.epsilon);
  const decayRate = fround(options.decayRate);
  let largest = 0;
  for (let i = 0; i < param.length; i++) {
    const g = gradient[i];
    const m = flush(fround(fround(firstMoment[i] * beta1) + fround(g * gain1)));
    const v = flush(fround(fround(secondMoment[i] * beta2) + fround(fround(g * g) * gain2)));
    firstMoment[i] = m;
    secondMoment[i] = v;
    const change = fround(fround(m * stepSize) / fround(fround(sqrt(v)) + epsilon));
    param[i] -= fround(change + fround(param[i] * decayRate));
    largest = larger(largest, param[i]);
  }
  return largest;
}

export function lion(
  param: Float32Array,
  moment: Float32Array,
  gradient: Float32Array,
  options: {
    gradientScale: number;
    learningRate: number;
    beta1: number;
    beta2: number;
    decayRate: number;
  },
): number {
  const beta1 = fround(options.beta1);
  const beta2 = fround(options.beta2);
  const gain1 = fround((1 - options.beta1) * options.gradientScale);
  const gain2 = fround((1 - options.beta2) * options.gradientScale);
  const learningRate = fround(options.learningRate);
  const decayRate = fround(options.decayRate);
  let largest = 0;
  for (let i = 0; i < param.length; i++) {
    const g = gradient[i];
    const direction = sign(fround(fround(moment[i] * beta1) + fround(g * gain1))) + 0;
    moment[i] = flush(fround(fround(moment[i] * beta2) + fround(g * gain2)));
    param[i] -= fround(fround(direction * learningRate) + fround(param[i] * decayRate));
    largest = larger(largest, param[i]);
  }
  return largest;
}

/** Lamb's direction, into `gradient`; the parameters stay as they are. */
export function lambDirection(
  param: Float32Array,
  firstMoment: Float32Array,
  secondMoment: Float32Array,
  gradient: Float32Array,
  options: {
    gradientScale: number;
    beta1: number;
    beta2: number;
    stepSize: number;
    epsilon: number;
    weightDecay: number;
  },
): void {
  const beta1 = fround(options.beta1);
  const beta2 = fround(options.beta2);
  const gain1 = fround((1 - options.beta1) * options.gradientScale);
  const gain2 = fround((1 - options.beta2) * options.gradientScale * options.gradientScale);
  const stepSize = fround(options.stepSize);
  const epsilon = fround(options.epsilon);
  const weightDecay = fround(options.weightDecay);
  for (let i = 0; i < param.length; i++) {
    const g = gradient[i];
    const m = flush(fround(fround(firstMoment[i] * beta1) + fround(g * gain1)));
    const v = flush(fround(fround(secondMoment[i] * beta2) + fround(fround(g * g) * gain2)));
    firstMoment[i] = m;
    secondMoment[i] = v;
    const change = fround(fround(m * stepSize) / fround(fround(sqrt(v)) + epsilon));
    gradient[i] = change + fround(param[i] * weightDecay);
  }
}
