// When the shards' last blocks come, seen by one client.
import test from 'ava';
import { Arrivals } from '../../../shared/client/arrivals.js';

const none = () => false;

/** A step that begins at a time, and whose shards' blocks come so many ms later. */
function step(arrivals: Arrivals, beginMs: number, comes: readonly number[]): void {
  arrivals.begin(beginMs);
  for (const [shard, afterMs] of comes.entries()) {
    arrivals.arrived(shard, beginMs + afterMs / 2);
    arrivals.arrived(shard, beginMs + afterMs);
  }
  arrivals.end();
}

test('the mean over the last steps of the last block of each shard', (t) => {
  const arrivals = new Arrivals(2);
  t.deepEqual([...arrivals.seconds(0, none)], []);
  step(arrivals, 0, [9000, 9000]);
  step(arrivals, 1000, [100, 200]);
  step(arrivals, 5000, [300, 500]);
  t.deepEqual(
    [...arrivals.seconds(9000, none)],
    [
      [0, 0.2],
      [1, 0.35],
    ],
  );
});

test('a shard whose blocks are missing has taken as long as they are', (t) => {
  const arrivals = new Arrivals(4);
  step(arrivals, 0, [100, 100]);
  arrivals.begin(1000);
  arrivals.arrived(0, 1050);
  const missing = (shard: number) => shard === 1;
  t.deepEqual(
    [...arrivals.seconds(1020, missing)],
    [
      [0, 0.1],
      [1, 0.1],
    ],
  );
  t.deepEqual(
    [...arrivals.seconds(4000, missing)],
    [
      [0, 0.1],
      [1, 3],
    ],
  );
});

test('a skipped step leaves nothing', (t) => {
  const arrivals = new Arrivals(4);
  step(arrivals, 0, [100]);
  step(arrivals, 1000, []);
  t.deepEqual([...arrivals.seconds(0, none)], [[0, 0.1]]);
});
