// Plain twins of assembly/optimize.ts. A float64 result that is rounded to fp32 after each operation is the
// fp32 result of that operation, so these loops give the bits of the SIMD ones.
// Each returns the largest magnitude of the new parameters, NaN if any is NaN.

const { abs, fround, sqrt } = Math;

const SMALLEST_NORMAL = 2 ** -126;

/** Zero in place of a denormal. */
export function flush(x: number): number {
  return abs(x) < SMALLEST_NORMAL ? 0 : x;
}

/** The larger of a running maximum and |x|; once NaN, always NaN. */
export function larger(largest: number, x: number): number {
  const magnitude = abs(x);
  return largest >= magnitude || Number.isNaN(largest) ? largest : magnitude;
}

export function sgd(
  param: Float32Array,
  gradient: Float32Array,
  options: { gradientScale: number; learningRate: number },
): number {
  const scale = fround(options.gradientScale);
  const learningRate = fround(options.learningRate);
  let largest = 0;
  for (let i = 0; i < param.length; i++) {
    const g = fround(gradient[i] * scale);
    param[i] -= fround(g * learningRate);
    largest = larger(largest, param[i]);
  }
  return largest;
}

export function momentum(
  param: Float32Array,
  velocity: Float32Array,
  gradient: Float32Array,
  options: { gradientScale: number; learningRate: number; momentum: number; nesterov: boolean },
): number {
  const scale = fround(options.gradientScale);
  const learningRate = fround(options.learningRate);
  const mu = fround(options.momentum);
  let largest = 0;
  for (let i = 0; i < param.length; i++) {
    const g = fround(gradient[i] * scale);
    const u = flush(fround(fround(velocity[i] * mu) + g));
    const direction = options.nesterov ? fround(g + fround(u * mu)) : u;
    velocity[i] = u;
    param[i] -= fround(direction * learningRate);
    largest = larger(largest, param[i]);
  }
  return largest;
}

export function adam(
  param: Float32Array,
  firstMoment: Float32Array,
  secondMoment: Float32Array,
  gradient: Float32Array,
  options: { gradientScale: number; beta1: number; beta2: number; stepSize: number; epsilon: number },
): number {
  const beta1 = fround(options.beta1);
  const beta2 = fround(options.beta2);
  const gain1 = fround((1 - options.beta1) * options.gradientScale);
  const gain2 = fround((1 - options.beta2) * options.gradientScale * options.gradientScale);
  const stepSize = fround(options.stepSize);
  const epsilon = fround(options.epsilon);
  let largest = 0;
  for (let i = 0; i < param.length; i++) {
    const g = gradient[i];
    const m = flush(fround(fround(firstMoment[i] * beta1) + fround(g * gain1)));
    const sum = fround(fround(secondMoment[i] * beta2) + fround(fround(g * g) * gain2));
    const v = sum < SMALLEST_NORMAL ? 0 : sum;
    firstMoment[i] = m;
    secondMoment[i] = v;
    param[i] -= fround(fround(m * stepSize) / fround(fround(sqrt(v)) + epsilon));
    largest = larger(largest, param[i]);
  }
  return largest;
}
