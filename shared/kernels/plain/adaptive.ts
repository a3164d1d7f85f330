// Plain twins of assembly/adaptive.ts: the same operations in the same order, each rounded to fp32. They return the
// largest magnitude of the new parameters, NaN if any is NaN.
import { flush, larger } from './optimize.js';

const { fround, max, sqrt } = Math;

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
