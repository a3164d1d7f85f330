// Keepers that follow one another, by chance from a seed: what one has written and what all say is enough for the next.
import test from 'ava';
import { BUGS, playKeepers } from './keeper-changes.js';

const SEEDS = 150;
const BUG_SEEDS_MAX = 1000;

test(`all come to one end in ${SEEDS} meshes whose keepers change`, (t) => {
  const counts = { keepers: 0, deaths: 0, views: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations, trace, keepers, deaths, views, failed } = playKeepers(seed);
    t.deepEqual(violations, [], `seed ${seed}\n${trace.join('\n')}`);
    t.is(failed, undefined, `seed ${seed}`);
    counts.keepers += keepers;
    counts.deaths += deaths;
    counts.views += views;
  }
  t.log(`${counts.keepers} keepers, ${counts.deaths} deaths, ${counts.views} changes of view at a server`);
  t.true(counts.keepers > 3 * SEEDS && counts.deaths > SEEDS / 2 && counts.views > SEEDS);
});

for (const bug of BUGS)
  test(`the checkers find it when ${bug}`, (t) => {
    for (let seed = 1; seed <= BUG_SEEDS_MAX; seed++) {
      const { violations, failed } = playKeepers(seed, bug);
      if (violations.length === 0 && !failed) continue;
      t.log(`seed ${seed}: ${violations[0] ?? failed}`);
      t.pass();
      return;
    }
    t.fail(`not found in ${BUG_SEEDS_MAX} seeds`);
  });
