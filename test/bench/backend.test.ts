import { memory } from '@tensorflow/tfjs-core';
import test from 'ava';
import { run } from './backend.js';

test.serial(
  'the backend bench runs small, has one figure per model and leaves no tensors behind',
  async (t) => {
    await run({ repeats: 1, small: true });
    const before = memory().numTensors;
    const results = await run({ repeats: 1, small: true });
    t.deepEqual(
      results.map(({ bench, case: name, unit, runs }) => [bench, name, unit, runs]),
      [
        ['backend', 'cnn', 'ms', 1],
        ['backend', 'mlp', 'ms', 1],
        ['backend', 'lstm', 'ms', 1],
      ],
    );
    for (const { median } of results) t.true(median > 0);
    t.is(memory().numTensors, before);
  },
);
