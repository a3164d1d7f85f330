import {
  grad,
  maxPool,
  maxPool3d,
  maxPoolWithArgmax,
  memory,
  mul,
  reshape,
  sum,
  type Tensor,
  type Tensor4D,
  type Tensor5D,
  tensor,
  tidy,
} from '@tensorflow/tfjs-core';
import test from 'ava';
import { startWasm } from '../../../../worker/backend/wasm/index.js';
import { finiteDifferences, maxPool64, near, randomArray, toTensor, type Window } from './reference.js';

test.before(async () => {
  await startWasm();
});

const tally = () => [memory().numTensors, memory().numDataBuffers];

const CASES: [shape: number[], window: Window][] = [
  [[2, 6, 6, 4], { filter: [2, 2], strides: [2, 2], pad: 'valid' }],
  [[2, 5, 7, 3], { filter: [2, 2], strides: [2, 2], pad: 'same' }],
  [[2, 7, 5, 5], { filter: [3, 3], strides: [1, 1], pad: 'same' }],
  [[1, 7, 8, 9], { filter: [3, 2], strides: [2, 1], pad: 'valid' }],
  [[3, 6, 5, 1], { filter: [2, 2], strides: [3, 3], pad: 'same' }],
];

for (const [shape, window] of CASES) {
  for (const offset of [0, -5]) {
    const where = offset < 0 ? 'all below zero' : 'around zero';
    const title = `[${shape}], window ${window.filter}, strides ${window.strides}, ${window.pad}, ${where}`;
    test(`maxPool and its gradient are those of float64: ${title}`, (t) => {
      const before = tally();
      const x = randomArray(shape, 'x');
      x.values.forEach((value, i) => {
        x.values[i] = value + offset;
      });
      const reference = () => maxPool64(x, window);
      const expected = reference();
      const weights = randomArray(expected.shape, 'w');
      const slope = finiteDifferences(reference, x, weights);
      tidy(() => {
        const run = (a: Tensor) => maxPool(a as Tensor4D, window.filter, window.strides, window.pad);
        near(t, run(toTensor(x)), expected.values, 'forward');
        const w = toTensor(weights);
        const dx = grad((a: Tensor) => sum(mul(run(a), w)))(toTensor(x));
        near(t, dx, slope, 'gradient', 1e-5);

        const { result, indexes } = maxPoolWithArgmax(
          toTensor(x) as Tensor4D,
          window.filter,
          window.strides,
          window.pad,
          true,
        );
        near(t, result as Tensor, expected.values, 'maxima with positions');
        const found = [...(indexes as Tensor).dataSync()].map((position) => x.values[position]);
        near(t, result as Tensor, found, 'what lies at the positions');
      });
      t.deepEqual(tally(), before);
    });

    test(`maxPool3d of volumes of depth 1 does the same: ${title}`, (t) => {
      const before = tally();
      const x = randomArray(shape, 'x');
      x.values.forEach((value, i) => {
        x.values[i] = value + offset;
      });
      const weights = randomArray(maxPool64(x, window).shape, 'w');
      tidy(() => {
        const run = (a: Tensor) => {
          const [batch, ...image] = shape;
          const volume = reshape(a as Tensor, [batch, 1, ...image] as number[] as never) as Tensor5D;
          return maxPool3d(volume, [1, ...window.filter], [1, ...window.strides], window.pad);
        };
        near(t, run(toTensor(x)), maxPool64(x, window).values, 'forward');
        const w = toTensor({ ...weights, shape: run(toTensor(x)).shape });
        const dx = grad((a: Tensor) => sum(mul(run(a), w)))(toTensor(x));
        near(
          t,
          dx,
          finiteDifferences(() => maxPool64(x, window), x, weights),
          'gradient',
          1e-5,
        );
      });
      t.deepEqual(tally(), before);
    });
  }
}

test('maxPool3d takes the maximum over the depth of a volume too', (t) => {
  tidy(() => {
    const x = tensor([-8, -7, -6, -5, -4, -3, -2, -1].reverse(), [1, 2, 2, 2, 1]) as Tensor5D;
    t.deepEqual([...maxPool3d(x, 2, 2, 'valid').dataSync()], [-1]);
    const dx = grad((a: Tensor) => sum(maxPool3d(a as Tensor5D, 2, 2, 'valid')))(x);
    t.deepEqual([...dx.dataSync()], [1, 0, 0, 0, 0, 0, 0, 0]);
  });
});

test('of equal maxima the first gets the gradient, and only that', (t) => {
  tidy(() => {
    for (const channels of [1, 4]) {
      const x = tensor(new Array(4 * channels).fill(-3), [1, 2, 2, channels]) as Tensor4D;
      const dx = grad((a: Tensor) => sum(maxPool(a as Tensor4D, 2, 2, 'valid')))(x);
      t.deepEqual([...dx.dataSync()], [...new Array(channels).fill(1), ...new Array(3 * channels).fill(0)]);
    }
  });
});

test('a position counts from its image unless the batch is included', (t) => {
  tidy(() => {
    const x = tensor([1, 2, 3, 4, 8, 7, 6, 5], [2, 2, 2, 1]) as Tensor4D;
    t.deepEqual([...(maxPoolWithArgmax(x, 2, 2, 'valid', false).indexes as Tensor).dataSync()], [3, 0]);
    t.deepEqual([...(maxPoolWithArgmax(x, 2, 2, 'valid', true).indexes as Tensor).dataSync()], [3, 4]);
  });
});
