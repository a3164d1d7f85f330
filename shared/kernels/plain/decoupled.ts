// Plain twins of assembly/decoupled.ts: the same operations in the same order, each rounded to fp32. The optimizers
// return the largest magnitude of the new parameters, NaN if any is NaN.
import { flush, larger } from './optimize.js';

const { fround, sign, sqrt } = Math;

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
