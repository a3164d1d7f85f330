import {
  conv2d,
  depthwiseConv2d,
  dilation2d,
  fused,
  grads,
  memory,
  mul,
  sum,
  type Tensor,
  type Tensor3D,
  type Tensor4D,
  tidy,
} from '@tensorflow/tfjs-core';
import test from 'ava';
import { startWasm } from '../../../../worker/backend/wasm/index.js';
import {
  conv64,
  dilation64,
  finiteDifferences,
  near,
  randomArray,
  toTensor,
  type Window,
} from './reference.js';

test.before(async () => {
  await startWasm();
});

const tally = () => [memory().numTensors, memory().numDataBuffers];

interface Case {
  x: number[];
  channels: number;
  window: Window;
}

const CASES: Case[] = [
  { x: [1, 4, 4, 1], channels: 1, window: { filter: [3, 3], strides: [1, 1], pad: 'valid' } },
  { x: [2, 5, 6, 3], channels: 4, window: { filter: [3, 3], strides: [1, 1], pad: 'valid' } },
  { x: [3, 5, 4, 2], channels: 5, window: { filter: [3, 3], strides: [1, 1], pad: 'same' } },
  { x: [2, 7, 6, 2], channels: 3, window: { filter: [3, 3], strides: [2, 2], pad: 'valid' } },
  { x: [2, 7, 6, 3], channels: 3, window: { filter: [2, 3], strides: [2, 1], pad: 'same' } },
  { x: [2, 6, 5, 2], channels: 3, window: { filter: [2, 2], strides: [3, 3], pad: 'same' } },
  { x: [2, 4, 5, 6], channels: 7, window: { filter: [1, 1], strides: [1, 1], pad: 'same' } },
  { x: [2, 5, 5, 4], channels: 3, window: { filter: [1, 1], strides: [2, 2], pad: 'valid' } },
  { x: [1, 3, 9, 8], channels: 9, window: { filter: [3, 5], strides: [1, 2], pad: 'same' } },
];

const title = ({ x, channels, window }: Case) =>
  `[${x}] to ${channels} channels, filter ${window.filter}, strides ${window.strides}, ${window.pad}`;

for (const each of CASES) {
  const { x: shape, channels, window } = each;
  test(`conv2d and both gradients are those of float64: ${title(each)}`, (t) => {
    const before = tally();
    const x = randomArray(shape, 'x');
    const filter = randomArray([...window.filter, shape[3], channels], 'f');
    const reference = () => conv64(x, filter, window, false);
    const expected = reference();
    const weights = randomArray(expected.shape, 'w');
    tidy(() => {
      const run = (a: Tensor, b: Tensor) => conv2d(a as Tensor4D, b as Tensor4D, window.strides, window.pad);
      const result = run(toTensor(x), toTensor(filter));
      t.deepEqual(result.shape, expected.shape as typeof result.shape);
      near(t, result, expected.values, 'forward');
      const w = toTensor(weights);
      const [dx, df] = grads((a: Tensor, b: Tensor) => sum(mul(run(a, b), w)))([
        toTensor(x),
        toTensor(filter),
      ]);
      near(t, dx, finiteDifferences(reference, x, weights), 'gradient of x', 1e-5);
      near(t, df, finiteDifferences(reference, filter, weights), 'gradient of the filter', 1e-5);
    });
    t.deepEqual(tally(), before);
  });

  for (const multiplier of [1, 2]) {
    // tfjs refuses a depthwise convolution whose strides differ.
    if (window.strides[0] !== window.strides[1]) continue;
    test(`depthwiseConv2d and both gradients are those of float64: ${title(each)}, multiplier ${multiplier}`, (t) => {
      const before = tally();
      const x = randomArray(shape, 'x');
      const filter = randomArray([...window.filter, shape[3], multiplier], 'f');
      const reference = () => conv64(x, filter, window, true);
      const expected = reference();
      const weights = randomArray(expected.shape, 'w');
      tidy(() => {
        const run = (a: Tensor, b: Tensor) =>
          depthwiseConv2d(a as Tensor4D, b as Tensor4D, window.strides, window.pad);
        near(t, run(toTensor(x), toTensor(filter)), expected.values, 'forward');
        const w = toTensor(weights);
        const [dx, df] = grads((a: Tensor, b: Tensor) => sum(mul(run(a, b), w)))([
          toTensor(x),
          toTensor(filter),
        ]);
        near(t, dx, finiteDifferences(reference, x, weights), 'gradient of x', 1e-5);
        near(t, df, finiteDifferences(reference, filter, weights), 'gradient of the filter', 1e-5);
      });
      t.deepEqual(tally(), before);
    });
  }

  test(`dilation2d and both gradients are those of float64, below zero too: ${title(each)}`, (t) => {
    const before = tally();
    const x = randomArray(shape, 'x');
    const filter = randomArray([...window.filter, shape[3]], 'f');
    x.values.forEach((value, i) => {
      x.values[i] = value - 4;
    });
    const reference = () => dilation64(x, filter, window);
    const expected = reference();
    const weights = randomArray(expected.shape, 'w');
    tidy(() => {
      const run = (a: Tensor, b: Tensor) =>
        dilation2d(a as Tensor4D, b as Tensor3D, window.strides, window.pad);
      near(t, run(toTensor(x), toTensor(filter)), expected.values, 'forward');
      const w = toTensor(weights);
      const [dx, df] = grads((a: Tensor, b: Tensor) => sum(mul(run(a, b), w)))([
        toTensor(x),
        toTensor(filter),
      ]);
      near(t, dx, finiteDifferences(reference, x, weights), 'gradient of x', 1e-5);
      near(t, df, finiteDifferences(reference, filter, weights), 'gradient of the filter', 1e-5);
    });
    t.deepEqual(tally(), before);
  });
}

test('a dilated convolution is that of float64', (t) => {
  const window: Window = { filter: [3, 2], strides: [1, 1], pad: 'same', dilations: [2, 3] };
  const x = randomArray([2, 7, 8, 3], 'x');
  const filter = randomArray([3, 2, 3, 5], 'f');
  tidy(() => {
    const result = conv2d(toTensor(x) as Tensor4D, toTensor(filter) as Tensor4D, 1, 'same', 'NHWC', [2, 3]);
    near(t, result, conv64(x, filter, window, false).values, 'forward');
  });
});

test('a convolution of more patches than the scratch memory holds is that of float64, and so are its gradients', (t) => {
  const window: Window = { filter: [3, 3], strides: [1, 1], pad: 'valid' };
  const x = randomArray([3, 34, 35, 20], 'x');
  const filter = randomArray([3, 3, 20, 2], 'f');
  const expected = conv64(x, filter, window, false);
  const dy = randomArray(expected.shape, 'dy');
  tidy(() => {
    const run = (a: Tensor, b: Tensor) => conv2d(a as Tensor4D, b as Tensor4D, 1, 'valid');
    near(t, run(toTensor(x), toTensor(filter)), expected.values, 'forward');
    const w = toTensor(dy);
    const [dx, df] = grads((a: Tensor, b: Tensor) => sum(mul(run(a, b), w)))([toTensor(x), toTensor(filter)]);
    // The convolution is linear in each operand: <dx, x> = <df, filter> = <dy, y>.
    const inner = expected.values.reduce((total, value, i) => total + value * dy.values[i], 0);
    const dot = (tensor: Tensor, values: Float64Array) =>
      [...tensor.dataSync()].reduce((total, value, i) => total + value * values[i], 0);
    t.true(Math.abs(dot(dx, x.values) - inner) < 1e-3 * Math.abs(inner) + 1e-3);
    t.true(Math.abs(dot(df, filter.values) - inner) < 1e-3 * Math.abs(inner) + 1e-3);
  });
});

for (const activation of ['linear', 'relu', 'elu', 'sigmoid'] as const) {
  test(`a fused convolution with bias and ${activation} is the two after each other`, (t) => {
    const window: Window = { filter: [3, 3], strides: [2, 2], pad: 'same' };
    const x = randomArray([2, 6, 5, 8], 'x');
    const filter = randomArray([3, 3, 8, 6], 'f');
    const bias = randomArray([6], 'b');
    const f = {
      linear: (v: number) => v,
      relu: (v: number) => Math.max(0, v),
      elu: (v: number) => (v < 0 ? Math.expm1(v) : v),
      sigmoid: (v: number) => 1 / (1 + Math.exp(-v)),
    }[activation];
    const expected = conv64(x, filter, window, false).values.map((value, i) => f(value + bias.values[i % 6]));
    tidy(() => {
      const result = fused.conv2d({
        x: toTensor(x) as Tensor4D,
        filter: toTensor(filter) as Tensor4D,
        strides: 2,
        pad: 'same',
        bias: toTensor(bias),
        activation,
      });
      near(t, result, expected, 'forward', 5e-6);
    });
  });
}
