// The number of servers that a refusal advises is enough, and one fewer is not.
import test from 'ava';
import fc from 'fast-check';
import { rowsBytes, rowsRefusal } from '../../../server/rows/rows-budget.js';
import { makeTable } from '../../helpers/rows.js';

test('the advised number of servers is enough, and one fewer is not', (t) => {
  let advised = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30_000_000 }),
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 100, max: 1000 }),
      (rows, width, servers, mib) => {
        const tables = [makeTable('adagrad', { rows, width })];
        const shard = (count: number) => 1e6 / count;
        const free = mib * 2 ** 20;
        const fits = (count: number) => rowsBytes(tables, count) + shard(count) <= free;
        const refusal = rowsRefusal(tables, new Array(servers).fill(free), shard);
        t.is(refusal === undefined, fits(servers));
        const [, count] = /start (\d+) servers/.exec(refusal?.sentence ?? '') ?? [];
        if (count === undefined) return;
        advised++;
        t.true(fits(Number(count)));
        t.false(fits(Number(count) - 1));
      },
    ),
    { seed: 2, numRuns: 200 },
  );
  t.true(advised > 20);
});

test('a run without tables needs nothing, and what no number of servers can hold says so', (t) => {
  t.is(rowsBytes([], 3), 0);
  t.is(
    rowsRefusal([], [1], () => 0),
    undefined,
  );
  t.regex(rowsRefusal([makeTable()], [2 ** 20], () => 0)?.sentence ?? '', /more --memory/);
});
