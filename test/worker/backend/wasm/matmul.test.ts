import {
  engine,
  fused,
  grads,
  matMul,
  memory,
  mul,
  reshape,
  sum,
  type Tensor,
  tensor,
  tidy,
  transpose,
  zeros,
} from '@tensorflow/tfjs-core';
import test from 'ava';
import { startWasm } from '../../../../worker/backend/wasm/index.js';
import { type Array64, finiteDifferences, matMul64, near, randomArray, toTensor } from './reference.js';

test.before(async () => {
  await startWasm();
});

const tally = () => [memory().numTensors, memory().numDataBuffers];

/** Sizes on both sides of the kernel's tiles (5 and 4 rows, 8 columns) and blocks (120 rows, 256 inner, 512 columns). */
const SIZES: [m: number, k: number, n: number][] = [
  [1, 1, 1],
  [2, 3, 1],
  [5, 4, 8],
  [6, 5, 9],
  [7, 49, 16],
  [11, 2, 17],
  [32, 257, 10],
  [121, 3, 7],
  [131, 300, 23],
  [3, 7, 513],
  [4, 513, 12],
];

for (const [m, k, n] of SIZES) {
  for (const [transposeA, transposeB] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ]) {
    test(`a product ${m}x${k} by ${k}x${n}, transposed ${transposeA}/${transposeB}, is that of float64`, (t) => {
      const before = tally();
      const a = randomArray(transposeA ? [k, m] : [m, k], 'a', m, k);
      const b = randomArray(transposeB ? [n, k] : [k, n], 'b', k, n);
      tidy(() => {
        const result = matMul(toTensor(a), toTensor(b), transposeA, transposeB);
        t.deepEqual(result.shape, [m, n]);
        near(t, result, matMul64(a, b, transposeA, transposeB).values, 'product');
      });
      t.deepEqual(tally(), before);
    });
  }
}

const STACKS: [a: number[], b: number[], transposeA: boolean, transposeB: boolean][] = [
  [[3, 4, 5], [3, 5, 6], false, false],
  [[3, 5, 4], [3, 6, 5], true, true],
  [[1, 4, 5], [3, 5, 6], false, false],
  [[3, 4, 5], [1, 5, 6], false, false],
  [[3, 4, 5], [1, 6, 5], false, true],
  [[3, 5, 4], [1, 5, 6], true, false],
  [[2, 1, 4, 50], [1, 3, 50, 6], false, false],
  [[2, 3, 4, 50], [2, 1, 50, 6], false, false],
  [[2, 3, 50, 4], [2, 3, 6, 50], true, true],
];

for (const [aShape, bShape, transposeA, transposeB] of STACKS) {
  test(`stacks [${aShape}] and [${bShape}], transposed ${transposeA}/${transposeB}, multiply matrix by matrix`, (t) => {
    const a = randomArray(aShape, 'a');
    const b = randomArray(bShape, 'b');
    tidy(() => {
      const result = matMul(toTensor(a), toTensor(b), transposeA, transposeB);
      const expected = matMul64(a, b, transposeA, transposeB);
      t.deepEqual(result.shape, expected.shape);
      near(t, result, expected.values, 'product');
    });
  });
}

for (const [transposeA, transposeB] of [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
]) {
  test(`gradients of a product transposed ${transposeA}/${transposeB} are those of finite differences`, (t) => {
    const before = tally();
    const a = randomArray(transposeA ? [2, 6, 5] : [2, 5, 6], 'a');
    const b = randomArray(transposeB ? [2, 7, 6] : [2, 6, 7], 'b');
    const weights = randomArray([2, 5, 7], 'w');
    const product = (): Array64 => matMul64(a, b, transposeA, transposeB);
    tidy(() => {
      const w = toTensor(weights);
      const [da, db] = grads((x: Tensor, y: Tensor) => sum(mul(matMul(x, y, transposeA, transposeB), w)))([
        toTensor(a),
        toTensor(b),
      ]);
      near(t, da, finiteDifferences(product, a, weights), 'gradient of a', 1e-5);
      near(t, db, finiteDifferences(product, b, weights), 'gradient of b', 1e-5);
    });
    t.deepEqual(tally(), before);
  });
}

test('the same operand reshaped between two products gives both right', (t) => {
  const a = randomArray([4, 6], 'a');
  const b = randomArray([6, 8], 'b');
  const wide = randomArray([4, 12], 'wide');
  tidy(() => {
    const right = toTensor(b);
    near(t, matMul(toTensor(a), right), matMul64(a, b, false, false).values, 'as 6x8');
    const reshaped = { shape: [12, 4], values: b.values };
    const other = reshape(right, [12, 4]) as Tensor;
    near(t, matMul(toTensor(wide), other), matMul64(wide, reshaped, false, false).values, 'as 12x4');
  });
});

test('an inner dimension of zero gives zeros, and no rows give an empty result', (t) => {
  tidy(() => {
    near(t, matMul(tensor([], [2, 0]), tensor([], [0, 3])), new Float64Array(6), 'zeros');
    t.deepEqual(matMul(tensor([], [0, 4]), zeros([4, 3])).shape, [0, 3]);
  });
});

test('int32 matrices multiply, and wrap around at 32 bits', (t) => {
  tidy(() => {
    const a = tensor([1, -2, 3, 4, 5, 0x40000000], [2, 3], 'int32');
    const b = tensor([7, 8, 9, 10, 11, 4], [3, 2], 'int32');
    const result = matMul(a, b);
    t.is(result.dtype, 'int32');
    t.deepEqual([...result.dataSync()], [22, 0, (28 + 45 + 11 * 0x40000000) | 0, 82]);
    t.deepEqual([...matMul(a, transpose(b), false, true).dataSync()], [...result.dataSync()]);
  });
});

const ACTIVATIONS: Record<string, (x: number) => number> = {
  linear: (x) => x,
  relu: (x) => Math.max(0, x),
  relu6: (x) => Math.min(6, Math.max(0, x)),
  elu: (x) => (x < 0 ? Math.expm1(x) : x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  leakyrelu: (x) => (x < 0 ? 0.25 * x : x),
  prelu: (x) => (x < 0 ? 0.5 * x : x),
};

for (const [activation, f] of Object.entries(ACTIVATIONS)) {
  test(`a fused product with bias and ${activation} applies both once, whatever the inner dimension`, (t) => {
    const before = tally();
    for (const [m, k, n] of [
      [6, 20, 9],
      [9, 150, 16],
      [5, 600, 8],
    ]) {
      const a = randomArray([k, m], 'a', k);
      const b = randomArray([n, k], 'b', k);
      const bias = randomArray([n], 'bias', k);
      const product = matMul64(a, b, true, true);
      const expected = product.values.map((value, i) => f(value + bias.values[i % n]));
      tidy(() => {
        const result = fused.matMul({
          a: toTensor(a) as never,
          b: toTensor(b) as never,
          transposeA: true,
          transposeB: true,
          bias: toTensor(bias),
          activation: activation as 'relu',
          leakyreluAlpha: 0.25,
          preluActivationWeights: activation === 'prelu' ? tensor(new Array(n).fill(0.5)) : undefined,
        });
        near(t, result, expected, `inner dimension ${k}`, 5e-6);
      });
    }
    t.deepEqual(tally(), before);
  });
}

test('operands that do not fit are refused with both shapes', (t) => {
  tidy(() => {
    const inputs = { a: tensor([1, 2, 3, 4], [2, 2]), b: tensor([1, 2, 3], [3, 1]) };
    t.throws(() => engine().runKernel('BatchMatMul', inputs, { transposeA: false, transposeB: false }), {
      message: /inner dimensions of \[2,2\] and \[3,1\] differ/,
    });
  });
});
