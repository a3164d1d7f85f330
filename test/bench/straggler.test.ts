import test from 'ava';
import { run } from './straggler.js';

test.serial('bench straggler: no read is staler than the bound, and every case has a rate', async (t) => {
  t.timeout(120_000);
  const results = await run({ repeats: 1, small: true });
  const find = (name: string, metric: string) =>
    results.find((result) => result.case === name && result.metric === metric)?.median;
  for (const name of ['bsp', 'backup-1', 'ssp-1', 'ssp-3', 'ssp-10', 'asp'])
    t.true((find(name, 'rate') ?? 0) > 0, name);
  // A step goes on without one of three: of seven steps somebody misses three at least.
  t.true((find('backup-1', 'late') ?? 0) >= 3);
  for (const staleness of [1, 3, 10]) {
    t.is(find(`ssp-${staleness}`, 'bound'), staleness);
    t.true((find(`ssp-${staleness}`, 'staleness') ?? Infinity) <= staleness);
  }
});
