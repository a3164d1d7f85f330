// The bench of the kernels, run small: it works, and names each figure once.
import test from 'ava';
import { run } from './kernels.js';

test.serial('the bench of the kernels gives a wasm and a plain figure for every kernel', async (t) => {
  const results = await run({ repeats: 2, small: true });
  const keys = results.map((result) => `${result.case} ${result.metric}`);
  t.is(new Set(keys).size, keys.length);
  const kernels = results.filter(({ metric }) => metric === 'wasm').map((result) => result.case);
  t.true(kernels.length >= 14);
  for (const name of [...kernels, 'memory', 'memoryInPlace', 'serve']) {
    t.true(keys.includes(`${name} bandwidth`) && keys.includes(`${name} bytes`));
  }
  for (const name of kernels) t.true(keys.includes(`${name} plain`));
  for (const result of results) {
    t.true(result.min > 0 && result.min <= result.median && result.median <= result.max);
    t.is(result.runs, result.metric === 'bytes' ? 1 : 2);
    t.is(result.bench, 'kernels');
  }
});
