import test from 'ava';
import { run } from './rows.js';

test.serial('bench rows trains a table on servers and workers of their own', async (t) => {
  const results = await run({ repeats: 1, small: true });
  const find = (metric: string) => results.find((result) => result.metric === metric)?.median ?? Number.NaN;
  t.true(find('rate') > 0);
  t.true(find('worker-memory') > 0);
  t.true(find('last-loss') < find('first-loss'));
});
