// Adagrad, rmsprop, adamw, lion and the pass before them: the formulas of their papers in float64 over many steps,
// tfjs's own optimizers where it has them, and what becomes of state that decays.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { adamScalars } from '../../../shared/kernels/kernels.js';
import { keyedRandom } from '../../../shared/random.js';
import { kernels, place, read } from './memory.js';

const ELEMENTS = 103;
const STEPS = 60;

function normals(key: string): Float32Array {
  const random = keyedRandom(7, key);
  return Float32Array.from({ length: ELEMENTS }, () => random.normal());
}

const gradients = Array.from({ length: STEPS }, (_, step) => normals(`gradient${step}`));

/** Parameters after some steps of a kernel; gradients come as a sum over eight samples. */
function stepsOfKernel(
  apply: (at: number[], step: number) => number,
  firstSlot = 0,
): { param: Float32Array; slots: Float32Array[] } {
  const zeros = new Float32Array(ELEMENTS);
  const at = place(0, normals('param'), new Float32Array(ELEMENTS).fill(firstSlot), zeros, zeros, zeros);
  gradients.forEach((values, index) => {
    kernels.f32(at[4], ELEMENTS).set(values.map((x) => x * 8));
    const largest = apply(at, index + 1);
    if (largest !== Math.max(...read(at[0], zeros).map(Math.abs)))
      throw new Error('absmax of the parameters expected');
  });
  return { param: read(at[0], zeros), slots: at.slice(1, 4).map((slot) => read(slot, zeros)) };
}

/** Parameters after the same steps of one element's rule in float64. */
function reference(rule: (p: number, g: number, slots: number[], step: number) => number, firstSlot = 0) {
  const param = Float64Array.from(normals('param'));
  const slots = Array.from(param, () => [firstSlot, 0, 0]);
  gradients.forEach((gradient, index) => {
    for (let i = 0; i < ELEMENTS; i++) param[i] = rule(param[i], gradient[i], slots[i], index + 1);
  });
  return param;
}

async function stepsOfTfjs(optimizer: tf.Optimizer): Promise<Float32Array> {
  await tf.setBackend('cpu');
  const variable = tf.variable(tf.tensor1d(normals('param')), true);
  for (const values of gradients) {
    const gradient = tf.tensor1d(values);
    optimizer.applyGradients({ [variable.name]: gradient });
    gradient.dispose();
  }
  const result = ((await variable.data()) as Float32Array).slice();
  variable.dispose();
  optimizer.dispose();
  return result;
}

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]) / Math.max(1, Math.abs(b[i]))));

const scale = { gradientScale: 1 / 8, elements: ELEMENTS };

test('adagrad steps as in float64 and as in tfjs', async (t) => {
  const { param } = stepsOfKernel(
    ([p, sum, , , gradient]) =>
      kernels.adagrad({ param: p, sum, gradient, learningRate: 0.1, epsilon: 1e-7, ...scale }),
    0.1,
  );
  const exact = reference((p, g, slots) => {
    slots[0] += g * g;
    return p - (0.1 * g) / Math.sqrt(slots[0] + 1e-7);
  }, 0.1);
  t.true(largestDifference(param, exact) < 2e-6);
  t.true(largestDifference(param, await stepsOfTfjs(tf.train.adagrad(0.1, 0.1))) < 2e-6);
});

for (const momentum of [0, 0.8])
  for (const centered of [false, true])
    test(`rmsprop with momentum ${momentum}${centered ? ', centered,' : ''} steps as in float64 and as in tfjs`, async (t) => {
      const { param } = stepsOfKernel(([p, square, velocity, mean, gradient]) =>
        kernels.rmsprop({
          param: p,
          square,
          velocity: momentum > 0 ? velocity : undefined,
          mean: centered ? mean : undefined,
          gradient,
          learningRate: 0.01,
          decay: 0.9,
          momentum,
          epsilon: 1e-3,
          ...scale,
        }),
      );
      const exact = reference((p, g, slots) => {
        slots[0] = 0.9 * slots[0] + (1 - 0.9) * g * g;
        slots[1] = 0.9 * slots[1] + (1 - 0.9) * g;
        const variance = centered ? slots[0] - slots[1] ** 2 : slots[0];
        slots[2] = momentum * slots[2] + (0.01 * g) / Math.sqrt(variance + 1e-3);
        return p - slots[2];
      });
      t.true(largestDifference(param, exact) < 5e-6);
      // Centered, tfjs takes epsilon away under the root, where TensorFlow adds it: hence the sign.
      const theirs = tf.train.rmsprop(0.01, 0.9, momentum, centered ? -1e-3 : 1e-3, centered);
      t.true(largestDifference(param, await stepsOfTfjs(theirs)) < 5e-6);
    });

test('adamw steps as its paper says, in float64', (t) => {
  const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
  const { param } = stepsOfKernel(([p, firstMoment, secondMoment, , gradient], step) =>
    kernels.adamw({
      param: p,
      firstMoment,
      secondMoment,
      gradient,
      beta1: 0.9,
      beta2: 0.999,
      ...adamScalars(step, options),
      decayRate: 0.01 * 0.1,
      ...scale,
    }),
  );
  const exact = reference((p, g, slots, step) => {
    slots[0] = 0.9 * slots[0] + (1 - 0.9) * g;
    slots[1] = 0.999 * slots[1] + (1 - 0.999) * g * g;
    const mean = slots[0] / (1 - 0.9 ** step);
    const variance = slots[1] / (1 - 0.999 ** step);
    return p - 0.01 * (mean / (Math.sqrt(variance) + 1e-7) + 0.1 * p);
  });
  t.true(largestDifference(param, exact) < 2e-6);
});

test('lion steps as its paper says, in float64', (t) => {
  const { param, slots } = stepsOfKernel(([p, moment, , , gradient]) =>
    kernels.lion({
      param: p,
      moment,
      gradient,
      learningRate: 0.01,
      beta1: 0.9,
      beta2: 0.99,
      decayRate: 0.01 * 0.1,
      ...scale,
    }),
  );
  const exact = reference((p, g, state) => {
    const direction = Math.sign(0.9 * state[0] + (1 - 0.9) * g);
    state[0] = 0.99 * state[0] + (1 - 0.99) * g;
    return p - 0.01 * (direction + 0.1 * p);
  });
  // A sign that rounding turned would show as 0.02.
  t.true(largestDifference(param, exact) < 2e-6);
  t.true(slots[0].some((m) => m !== 0));
});

test('a gradient is clipped as a mean, and then gets the slopes of l1 · Σ|p| and l2 · Σp²', (t) => {
  const mean = Float32Array.of(-9, -0.5, 0, 0.5, 9, 0.25);
  const param = Float32Array.of(2, -2, 0, 4, -4, -0);
  const [g, p] = place(
    0,
    mean.map((x) => x * 8),
    param,
  );
  kernels.prepareGradient({
    gradient: g,
    param: p,
    elements: 6,
    gradientScale: 1 / 8,
    clipValue: 1,
    l1: 0.5,
    l2: 0.25,
  });
  t.deepEqual([...read(g, mean)], [-1 + 0.5 + 1, -0.5 - 0.5 - 1, 0, 0.5 + 0.5 + 2, 1 - 0.5 - 2, 0.25]);
});

test('a centered variance that rounding makes negative counts as zero', (t) => {
  const options = { decay: 0.9, momentum: 0, epsilon: 1e-20, gradientScale: 1, learningRate: 1e-12 };
  const n = 64;
  // A gradient that never changes has no variance: what is left of it is rounding, of either sign.
  const steady = Float32Array.from({ length: n }, (_, i) => 1 + i / 7);
  const [param, square, mean, gradient] = place(
    0,
    new Float32Array(n),
    new Float32Array(n),
    new Float32Array(n),
    steady,
  );
  let negative = 0;
  for (let step = 0; step < 300; step++) {
    t.true(Number.isFinite(kernels.rmsprop({ param, square, mean, gradient, elements: n, ...options })));
    const means = read(mean, steady);
    negative += read(square, steady).filter((s, i) => Math.fround(s - means[i] ** 2) < 0).length;
  }
  t.true(negative > 0, 'expected a case of the kind that the title speaks of');
});

test('state that decays without a gradient ends at zero, not at a denormal', (t) => {
  const n = 7;
  const start = new Float32Array(n).fill(2 ** -120);
  const [param, a, b, c, gradient] = place(
    0,
    new Float32Array(n).fill(1),
    start,
    start,
    start,
    new Float32Array(n),
  );
  const zero = new Float32Array(n);
  const common = { param, gradient, elements: n, gradientScale: 1, learningRate: 0 };
  for (let step = 0; step < 100; step++)
    kernels.rmsprop({ ...common, square: a, velocity: b, mean: c, decay: 0.9, momentum: 0.9, epsilon: 1e-7 });
  for (const slot of [a, b, c]) t.deepEqual(read(slot, start), zero);
  for (const slot of [a, b, c]) kernels.f32(slot, n).set(start);
  const betas = { beta1: 0.9, beta2: 0.9 };
  for (let step = 0; step < 100; step++) {
    kernels.adamw({
      ...common,
      firstMoment: a,
      secondMoment: b,
      ...betas,
      stepSize: 0,
      epsilon: 1e-7,
      decayRate: 0,
    });
    kernels.lion({ ...common, moment: c, ...betas, decayRate: 0 });
  }
  for (const slot of [a, b, c]) t.deepEqual(read(slot, start), zero);
});
