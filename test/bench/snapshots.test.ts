import test from 'ava';
import { tinyRun } from '../helpers/tiny-run.js';
import { run } from './snapshots.js';

test.serial('bench snapshots: the run goes on after a kill, and its snapshots have a size', async (t) => {
  t.timeout(120_000);
  const { flags } = await tinyRun(t, 'wide');
  const results = await run({ repeats: 1, small: true, flags });
  const median = (name: string, metric: string) =>
    results.find((result) => result.case === name && result.metric === metric)?.median ?? Number.NaN;
  t.true(median('kill', 'gap') > 0);
  t.true(median('kill', 'redone') >= 0);
  t.true(median('snapshot', 'size') > 0);
  t.true(median('snapshot', 'written') > 0);
});
