import test from 'ava';
import { BLOCK_ELEMENTS_MAX } from '../../shared/limits.js';
import { run } from './peers.js';

test.serial('bench peers measures every case, and what peers send is what a ring would', async (t) => {
  const results = await run({ repeats: 1, small: true });
  const find = (name: string, metric: string) =>
    results.find((result) => result.case === name && result.metric === metric)?.median;
  for (const [name, bytes] of [
    ['fp32-sgd', 4],
    ['fp32-adam', 4],
    ['fp16-sgd', 2],
    ['fp16-adam', 2],
  ] as const) {
    t.true((find(name, 'round') ?? 0) > 0, name);
    t.is(find(name, 'sent'), (bytes * 2 * BLOCK_ELEMENTS_MAX) / 2 ** 20);
    t.is(find(name, 'sent'), find(name, 'ring'));
  }
});
