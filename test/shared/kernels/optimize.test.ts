// The optimizers: bits of the twins, the steps of tfjs's own optimizers, the formulas in float64, and what
// they return.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import fc from 'fast-check';
import { adamScalars } from '../../../shared/kernels/kernels.js';
import * as plain from '../../../shared/kernels/plain/optimize.js';
import { keyedRandom } from '../../../shared/random.js';
import { anyFloat, anyShift, arrayOf, bitsOf, fixed, kernels, place, read, tameFloat } from './memory.js';

const adamDefaults = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };

/** Arrays of one length: a parameter, two slots and a gradient made from one arbitrary array. */
function fourOf(values: Float32Array): [Float32Array, Float32Array, Float32Array, Float32Array] {
  return [
    values,
    values.map((x) => x / 5).reverse(),
    values.map((x) => Math.abs(x) / 3),
    values.toReversed(),
  ];
}

for (const [kind, element] of [
  ['gradients as they come', tameFloat],
  ['any fp32', anyFloat],
] as const) {
  test(`sgd gives the bits of its twin for ${kind}`, (t) => {
    fc.assert(
      fc.property(arrayOf(element), anyShift, (values, shift) => {
        const options = { gradientScale: 1 / 48, learningRate: 0.05 };
        const [param, , , gradient] = fourOf(values);
        const [p, g] = place(shift, param, gradient);
        const largest = kernels.sgd({ param: p, gradient: g, elements: values.length, ...options });
        t.is(largest, plain.sgd(param, gradient, options));
        t.deepEqual(bitsOf(read(p, param)), bitsOf(param));
      }),
      fixed,
    );
  });

  test(`momentum gives the bits of its twin for ${kind}`, (t) => {
    fc.assert(
      fc.property(arrayOf(element), fc.boolean(), anyShift, (values, nesterov, shift) => {
        const options = { gradientScale: 1 / 3, learningRate: 0.01, momentum: 0.9, nesterov };
        const [param, velocity, , gradient] = fourOf(values);
        const [p, u, g] = place(shift, param, velocity, gradient);
        const elements = values.length;
        const largest = kernels.momentum({ param: p, velocity: u, gradient: g, elements, ...options });
        t.is(largest, plain.momentum(param, velocity, gradient, options));
        t.deepEqual(bitsOf(read(p, param)), bitsOf(param));
        t.deepEqual(bitsOf(read(u, velocity)), bitsOf(velocity));
      }),
      fixed,
    );
  });

  test(`adam gives the bits of its twin for ${kind}`, (t) => {
    fc.assert(
      fc.property(arrayOf(element), fc.integer({ min: 1, max: 5000 }), anyShift, (values, step, shift) => {
        const { beta1, beta2 } = adamDefaults;
        const options = { gradientScale: 1 / 64, beta1, beta2, ...adamScalars(step, adamDefaults) };
        const [param, first, second, gradient] = fourOf(values);
        const [p, m, v, g] = place(shift, param, first, second, gradient);
        const largest = kernels.adam({
          param: p,
          firstMoment: m,
          secondMoment: v,
          gradient: g,
          elements: values.length,
          ...options,
        });
        t.is(largest, plain.adam(param, first, second, gradient, options));
        t.deepEqual(bitsOf(read(p, param)), bitsOf(param));
        t.deepEqual(bitsOf(read(m, first)), bitsOf(first));
        t.deepEqual(bitsOf(read(v, second)), bitsOf(second));
      }),
      fixed,
    );
  });
}

const ELEMENTS = 103;
const STEPS = 40;

function normals(key: string): Float32Array {
  const random = keyedRandom(7, key);
  return Float32Array.from({ length: ELEMENTS }, () => random.normal());
}

/** Parameters after some steps of an optimizer of tfjs, given the gradient of each step. */
async function stepsOfTfjs(optimizer: tf.Optimizer, gradients: Float32Array[]): Promise<Float32Array> {
  await tf.setBackend('cpu');
  const variable = tf.variable(tf.tensor1d(normals('param')), true);
  for (const values of gradients) {
    const gradient = tf.tensor1d(values);
    optimizer.applyGradients({ [variable.name]: gradient });
    gradient.dispose();
  }
  const result = (await variable.data()) as Float32Array;
  variable.dispose();
  optimizer.dispose();
  return result.slice();
}

const gradients = Array.from({ length: STEPS }, (_, step) => normals(`gradient${step}`));

interface Places {
  param: number;
  slot1: number;
  slot2: number;
  gradient: number;
  elements: number;
}

/** Parameters after the same steps by a kernel; gradients come as a sum over eight samples. */
function stepsOfKernel(apply: (places: Places, step: number) => number): Float32Array {
  const zeros = new Float32Array(ELEMENTS);
  const [param, slot1, slot2, gradient] = place(0, normals('param'), zeros, zeros, zeros);
  gradients.forEach((values, index) => {
    kernels.f32(gradient, ELEMENTS).set(values.map((x) => x * 8));
    const largest = apply({ param, slot1, slot2, gradient, elements: ELEMENTS }, index + 1);
    const now = read(param, zeros);
    if (largest !== Math.max(...now.map(Math.abs))) throw new Error('absmax of the parameters expected');
  });
  return read(param, zeros);
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]) / Math.max(1, Math.abs(b[i]))));
}

const gradientScale = 1 / 8;

test('sgd steps as in tfjs', async (t) => {
  const theirs = await stepsOfTfjs(tf.train.sgd(0.1), gradients);
  const ours = stepsOfKernel((at) => kernels.sgd({ ...at, gradientScale, learningRate: 0.1 }));
  t.true(largestDifference(ours, theirs) < 1e-6);
});

for (const nesterov of [false, true]) {
  test(`momentum ${nesterov ? 'after Nesterov ' : ''}steps as in tfjs`, async (t) => {
    const theirs = await stepsOfTfjs(tf.train.momentum(0.05, 0.9, nesterov), gradients);
    const ours = stepsOfKernel((at) =>
      kernels.momentum({
        ...at,
        velocity: at.slot1,
        gradientScale,
        learningRate: 0.05,
        momentum: 0.9,
        nesterov,
      }),
    );
    t.true(largestDifference(ours, theirs) < 1e-6);
  });
}

const adamOf =
  (options: typeof adamDefaults) =>
  (at: Places, step: number): number =>
    kernels.adam({
      ...at,
      firstMoment: at.slot1,
      secondMoment: at.slot2,
      gradientScale,
      beta1: options.beta1,
      beta2: options.beta2,
      ...adamScalars(step, options),
    });

test('adam steps as in tfjs', async (t) => {
  const options = { ...adamDefaults, learningRate: 0.01 };
  const theirs = await stepsOfTfjs(tf.train.adam(0.01), gradients);
  t.true(largestDifference(stepsOfKernel(adamOf(options)), theirs) < 2e-6);
  const unusual = { learningRate: 0.02, beta1: 0.8, beta2: 0.95, epsilon: 1e-3 };
  const theirUnusual = await stepsOfTfjs(tf.train.adam(0.02, 0.8, 0.95, 1e-3), gradients);
  t.true(largestDifference(stepsOfKernel(adamOf(unusual)), theirUnusual) < 2e-6);
});

test('adam steps as its paper says, in float64', (t) => {
  const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
  const param = Float64Array.from(normals('param'));
  const m = new Float64Array(ELEMENTS);
  const v = new Float64Array(ELEMENTS);
  gradients.forEach((gradient, index) => {
    for (let i = 0; i < ELEMENTS; i++) {
      m[i] = 0.9 * m[i] + (1 - 0.9) * gradient[i];
      v[i] = 0.999 * v[i] + (1 - 0.999) * gradient[i] ** 2;
      const mean = m[i] / (1 - 0.9 ** (index + 1));
      const variance = v[i] / (1 - 0.999 ** (index + 1));
      param[i] -= (0.01 * mean) / (Math.sqrt(variance) + 1e-7);
    }
  });
  t.true(largestDifference(stepsOfKernel(adamOf(options)), param) < 2e-6);
});

test('moments that decay without a gradient end at zero, not at a denormal', (t) => {
  const n = 11;
  const start = new Float32Array(n).fill(2 ** -120);
  const [param, slot1, slot2, velocity, gradient] = place(
    0,
    new Float32Array(n).fill(1),
    start,
    start,
    start,
    new Float32Array(n),
  );
  for (let step = 1; step <= 100; step++) {
    adamOf({ ...adamDefaults, beta2: 0.9 })({ param, slot1, slot2, gradient, elements: n }, step);
  }
  t.deepEqual(read(slot1, start), new Float32Array(n));
  t.deepEqual(read(slot2, start), new Float32Array(n));
  for (let step = 0; step < 100; step++) {
    kernels.momentum({
      param,
      velocity,
      gradient,
      elements: n,
      gradientScale: 1,
      learningRate: 0,
      momentum: 0.9,
      nesterov: false,
    });
  }
  t.deepEqual(read(velocity, start), new Float32Array(n));
});

test('a NaN in a gradient shows in what the optimizer returns, wherever it stands', (t) => {
  for (let n = 1; n < 12; n++) {
    for (let bad = 0; bad < n; bad++) {
      const gradient = new Float32Array(n).fill(1);
      gradient[bad] = Number.NaN;
      const one = new Float32Array(n).fill(1);
      const [param, slot1, slot2, g] = place(0, one, one, one, gradient);
      const at = { param, slot1, slot2, gradient: g, elements: n };
      t.is(adamOf(adamDefaults)(at, 1), Number.NaN);
      kernels.f32(param, n).fill(1);
      t.is(kernels.sgd({ ...at, gradientScale: 1, learningRate: 1 }), Number.NaN);
      kernels.f32(param, n).fill(1);
      const momentum = { velocity: slot2, momentum: 0.9, nesterov: true };
      t.is(kernels.momentum({ ...at, ...momentum, gradientScale: 1, learningRate: 1 }), Number.NaN);
    }
  }
});
