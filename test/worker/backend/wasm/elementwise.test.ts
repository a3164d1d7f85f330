import {
  add,
  cast,
  clipByValue,
  concat,
  div,
  grad,
  memory,
  mul,
  relu,
  reverse,
  scalar,
  setBackend,
  sigmoid,
  slice,
  split,
  stack,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  tanh,
  tensor,
  tidy,
  unsortedSegmentSum,
  unstack,
} from '@tensorflow/tfjs-core';
import test from 'ava';
import fc from 'fast-check';
import { chooseBackend } from '../../../../worker/backend/ladder.js';
import { startWasm } from '../../../../worker/backend/wasm/index.js';
import { type Array64, finiteDifferences, near, randomArray, sizeOf, toTensor } from './reference.js';

test.before(async () => {
  await startWasm();
});

const tally = () => [memory().numTensors, memory().numDataBuffers];

const OPERATIONS: [string, (a: Tensor, b: Tensor) => Tensor, (a: number, b: number) => number][] = [
  ['add', add, (a, b) => a + b],
  ['sub', sub, (a, b) => a - b],
  ['mul', mul, (a, b) => a * b],
  ['div', div, (a, b) => a / b],
];

/** The element of a broadcast operand that belongs to element `index` of the result. */
function broadcastIndex(index: number, shape: number[], operand: number[]): number {
  const lead = shape.length - operand.length;
  let rest = index;
  let at = 0;
  let stride = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    const coordinate = rest % shape[d];
    rest = Math.floor(rest / shape[d]);
    const length = d >= lead ? operand[d - lead] : 1;
    if (length > 1) at += coordinate * stride;
    stride *= length;
  }
  return at;
}

const PAIRS: [a: number[], b: number[], out: number[]][] = [
  [[7], [7], [7]],
  [
    [3, 4, 5],
    [3, 4, 5],
    [3, 4, 5],
  ],
  [[6, 9], [9], [6, 9]],
  [[9], [6, 9], [6, 9]],
  [
    [2, 3, 4],
    [1, 1, 4],
    [2, 3, 4],
  ],
  [
    [2, 3, 4],
    [3, 4],
    [2, 3, 4],
  ],
  [
    [5, 7],
    [5, 1],
    [5, 7],
  ],
  [
    [5, 1],
    [5, 7],
    [5, 7],
  ],
  [
    [2, 3, 4],
    [2, 1, 1],
    [2, 3, 4],
  ],
  [
    [2, 3, 4],
    [2, 1, 4],
    [2, 3, 4],
  ],
  [
    [2, 1, 4],
    [1, 3, 1],
    [2, 3, 4],
  ],
  [
    [3, 1],
    [1, 5],
    [3, 5],
  ],
  [[], [4, 5], [4, 5]],
  [[4, 5], [], [4, 5]],
  [[1], [1], [1]],
  [[0, 3], [3], [0, 3]],
];

for (const [name, operation, expected] of OPERATIONS) {
  test(`${name} broadcasts as numbers do, whichever operand is the smaller one`, (t) => {
    const before = tally();
    for (const [aShape, bShape, shape] of PAIRS) {
      const a = randomArray(aShape, 'a');
      const b = randomArray(bShape, 'b');
      b.values.forEach((value, i) => {
        b.values[i] = value + 2;
      });
      tidy(() => {
        const result = operation(toTensor(a), toTensor(b));
        t.deepEqual(result.shape, shape);
        const values = Array.from({ length: sizeOf(shape) }, (_, i) =>
          expected(a.values[broadcastIndex(i, shape, aShape)], b.values[broadcastIndex(i, shape, bShape)]),
        );
        near(t, result, values, `[${aShape}] and [${bShape}]`);
      });
    }
    t.deepEqual(tally(), before);
  });
}

test('sums over any axes are those of float64', (t) => {
  const before = tally();
  const x = randomArray([3, 4, 5, 6], 'x');
  for (const [axes, keepDims] of [
    [[0], false],
    [[0, 1], false],
    [[0, 1, 2], true],
    [[1, 0], false],
    [[3], false],
    [[1, 2], true],
    [[0, 1, 2, 3], false],
  ] as [number[], boolean][]) {
    const kept = x.shape.map((length, d) => (axes.includes(d) ? 1 : length));
    const expected = new Float64Array(sizeOf(kept));
    x.values.forEach((value, i) => {
      expected[broadcastIndex(i, x.shape, kept)] += value;
    });
    tidy(() => {
      const result = sum(toTensor(x), axes, keepDims);
      t.deepEqual(result.shape, keepDims ? kept : x.shape.filter((_, d) => !axes.includes(d)));
      near(t, result, expected, `axes ${axes}`);
    });
  }
  t.deepEqual(tally(), before);
});

test('a sum over many rows keeps its precision', (t) => {
  const rows = 200_000;
  tidy(() => {
    const x = tensor(new Float32Array(rows * 17).fill(0.1), [rows, 17]);
    near(t, sum(x, 0), new Float64Array(17).fill(rows * Math.fround(0.1)), 'sum', 1e-5);
  });
});

const ACTIVATIONS: [string, (x: Tensor) => Tensor, (x: number) => number][] = [
  ['relu', relu, (x) => Math.max(0, x)],
  ['sigmoid', sigmoid, (x) => 1 / (1 + Math.exp(-x))],
  ['tanh', tanh, Math.tanh],
  ['clipByValue', (x) => clipByValue(x, -1, 2), (x) => Math.min(2, Math.max(-1, x))],
];

for (const [name, operation, f] of ACTIVATIONS) {
  test(`${name} and its gradient are those of float64`, (t) => {
    const before = tally();
    const x = randomArray([3, 7], name);
    x.values.forEach((value, i) => {
      x.values[i] = Math.fround(value * 3 + 0.01);
    });
    const weights = randomArray([3, 7], 'w');
    const reference = (): Array64 => ({ shape: x.shape, values: x.values.map((value) => f(value)) });
    tidy(() => {
      near(t, operation(toTensor(x)), reference().values, 'forward', 5e-6);
      const w = toTensor(weights);
      const dx = grad((a: Tensor) => sum(mul(operation(a), w)))(toTensor(x));
      near(t, dx, finiteDifferences(reference, x, weights), 'gradient', 1e-5);
    });
    t.deepEqual(tally(), before);
  });

  test.serial(`${name} has tfjs's own gradient on another backend`, async (t) => {
    await chooseBackend('cpu');
    try {
      tidy(() => {
        const dx = grad((a: Tensor) => sum(operation(a)))(tensor([0.5]));
        const slope = (f(0.5 + 1e-6) - f(0.5 - 1e-6)) / 2e-6;
        near(t, dx, [slope], 'gradient', 1e-5);
      });
    } finally {
      await setBackend('wasm');
    }
  });
}

test('NaN goes through relu', (t) => {
  tidy(() =>
    t.deepEqual([...relu(tensor([Number.NaN, -1, 2, 3, Number.NaN])).dataSync()].map(Number.isNaN), [
      true,
      false,
      false,
      false,
      true,
    ]),
  );
});

test('rows are summed by segment; numbers outside the segments are left out', (t) => {
  const before = tally();
  tidy(() => {
    const x = randomArray([5, 7], 'x');
    const ids = [2, 0, 2, -1, 3];
    const expected = new Float64Array(3 * 7);
    ids.forEach((id, row) => {
      if (id >= 0 && id < 3) for (let j = 0; j < 7; j++) expected[id * 7 + j] += x.values[row * 7 + j];
    });
    const result = unsortedSegmentSum(toTensor(x), tensor(ids, [5], 'int32') as Tensor1D, 3);
    near(t, result, expected, 'sums');
    const scalars = unsortedSegmentSum(
      tensor([1, 2, 3, 4]),
      tensor([1, 1, 0, 1], [4], 'int32') as Tensor1D,
      2,
    );
    t.deepEqual([...scalars.dataSync()], [3, 7]);
  });
  t.deepEqual(tally(), before);
});

test('a cast to the same type shares the data, and the data outlives either', (t) => {
  const x = tensor([1, 2, 3]);
  const buffers = memory().numDataBuffers;
  const same = cast(x, 'float32');
  t.is(memory().numDataBuffers, buffers);
  x.dispose();
  t.deepEqual([...same.dataSync()], [1, 2, 3]);
  const integers = cast(same, 'int32');
  t.is(integers.dtype, 'int32');
  same.dispose();
  t.deepEqual([...integers.dataSync()], [1, 2, 3]);
  integers.dispose();
  const text = tensor(['a', 'b']);
  t.deepEqual([...text.clone().dataSync()] as unknown as string[], ['a', 'b']);
});

/** A tensor of up to four dimensions, with an inside to slice. */
const sliced = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }).chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    dtype: fc.constantFrom('float32' as const, 'int32' as const, 'bool' as const),
    begin: fc.tuple(...shape.map((length) => fc.integer({ min: 0, max: length - 1 }))),
    end: fc.tuple(...shape.map((length) => fc.integer({ min: 0, max: length - 1 }))),
  }),
);

test('slices, splits, stacks and concatenations are those of plain indexing', (t) => {
  const before = tally();
  const property = fc.property(sliced, ({ shape, dtype, begin, end }) => {
    tidy(() => {
      const start = begin.map((first, d) => Math.min(first, end[d]));
      const size = begin.map((first, d) => Math.abs(first - end[d]) + 1);
      const values = Array.from({ length: sizeOf(shape) }, (_, i) => (dtype === 'bool' ? i % 2 : i));
      const x = tensor(values, shape, dtype);
      const expected = Array.from({ length: sizeOf(size) }, (_, i) => {
        let rest = i;
        const index = size.map(() => 0);
        for (let d = size.length - 1; d >= 0; d--) {
          index[d] = (rest % size[d]) + start[d];
          rest = Math.floor(rest / size[d]);
        }
        return values[index.reduce((at, coordinate, d) => at * shape[d] + coordinate, 0)];
      });
      t.deepEqual([...slice(x, start, size).dataSync()], expected);
      for (let axis = 0; axis < shape.length; axis++) {
        const whole = [...x.dataSync()];
        t.deepEqual([...concat(split(x, shape[axis], axis), axis).dataSync()], whole);
        t.deepEqual([...stack(unstack(x, axis), axis).dataSync()], whole);
        const backwards = stack(unstack(x, axis).reverse(), axis);
        t.deepEqual([...backwards.dataSync()], [...reverse(cast(x, 'float32'), axis).dataSync()]);
      }
    });
  });
  fc.assert(property, { seed: 11, numRuns: 150 });
  t.deepEqual(tally(), before);
});

test('pieces of unequal length come apart and together', (t) => {
  tidy(() => {
    const x = tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [2, 5]);
    const parts = split(x, [1, -1, 2], 1);
    t.deepEqual(
      parts.map((part) => [...part.dataSync()]),
      [
        [0, 5],
        [1, 2, 6, 7],
        [3, 4, 8, 9],
      ],
    );
    t.deepEqual([...concat(parts, 1).dataSync()], [...x.dataSync()]);
    t.deepEqual(concat([tensor([], [0, 5]), x], 0).shape, [2, 5]);
    t.deepEqual([...stack([scalar(3), scalar(4)]).dataSync()], [3, 4]);
  });
});
