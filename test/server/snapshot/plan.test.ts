// The keeper's plan: cuts lie ahead of everybody, one that comes too late is followed by one further ahead, and a
// snapshot is whole only when everybody has reported a part.
import test from 'ava';
import { type Holder, SnapshotPlan } from '../../../server/snapshot/plan.js';
import { SNAPSHOT_AHEAD_STEPS } from '../../../shared/limits.js';

const HOLDERS: Holder[] = ['shard 1', 'shard 2', 'worker 7'];
const part = (file: string) => ({ file, bytes: 10, headerSha256: '0'.repeat(64) });

test('cuts are multiples of the cadence, ahead of the open step, one at a time', (t) => {
  const plan = new SnapshotPlan(10, 100);
  t.is(plan.next(0, HOLDERS), 10);
  t.is(plan.next(0, HOLDERS), undefined);
  for (const holder of HOLDERS.slice(1)) t.is(plan.report(10, holder, part(holder)), undefined);
  const outcome = plan.report(10, HOLDERS[0], part('a'));
  t.like(outcome, { kind: 'whole', step: 10 });
  t.deepEqual(outcome?.kind === 'whole' && [...outcome.parts.keys()].sort(), [...HOLDERS].sort());
  t.is(plan.next(20 - SNAPSHOT_AHEAD_STEPS, HOLDERS), 20);
});

test('a step that is too near is left to the next multiple', (t) => {
  t.is(new SnapshotPlan(10, 100).next(10 - SNAPSHOT_AHEAD_STEPS + 1, HOLDERS), 20);
});

test('nothing is cut at the end of a run or after it', (t) => {
  t.is(new SnapshotPlan(10, 20).next(11, HOLDERS), undefined);
  t.is(new SnapshotPlan(10, 0).next(11, HOLDERS), 20, 'of a run without an end');
  t.is(new SnapshotPlan(0, 20).ask(20 - SNAPSHOT_AHEAD_STEPS, HOLDERS), undefined);
});

test('one that comes too late for anybody is none, and the next lies further ahead', (t) => {
  const plan = new SnapshotPlan(0, 0);
  const first = plan.ask(100, HOLDERS) as number;
  plan.report(first, 'shard 1', part('a'));
  plan.report(first, 'shard 2', { late: true });
  t.deepEqual(plan.report(first, 'worker 7', part('c')), { kind: 'late', step: first });
  t.is(plan.ask(100, HOLDERS), 100 + 2 * SNAPSHOT_AHEAD_STEPS);
});

test('a failure of anybody is told with its name, and who has left is not waited for', (t) => {
  const plan = new SnapshotPlan(5, 0);
  t.is(plan.next(0, HOLDERS), 5);
  plan.report(5, 'shard 1', { failure: 'the disk is full' });
  plan.report(5, 'shard 2', part('b'));
  t.deepEqual(plan.missing(5), ['worker 7']);
  t.deepEqual(plan.lost('worker 7', 'it has left'), [
    { kind: 'failed', step: 5, reason: 'shard 1: the disk is full' },
  ]);
  t.deepEqual(plan.open, []);
});

test('what is asked for does not wait for a far cut of the cadence, and joins a near one', (t) => {
  const plan = new SnapshotPlan(1000, 0);
  t.is(plan.next(0, HOLDERS), 1000);
  t.is(plan.ask(10, HOLDERS), 10 + SNAPSHOT_AHEAD_STEPS);
  t.is(plan.ask(10, HOLDERS), undefined, 'one is on its way');
});

test('reports of strangers, twice, or of what is settled change nothing', (t) => {
  const plan = new SnapshotPlan(5, 0);
  plan.next(0, ['shard 1', 'shard 2']);
  t.is(plan.report(5, 'shard 9', part('x')), undefined);
  t.is(plan.report(7, 'shard 1', part('x')), undefined);
  t.is(plan.report(5, 'shard 1', part('a')), undefined);
  t.is(plan.report(5, 'shard 1', part('b')), undefined);
  t.like(plan.report(5, 'shard 2', part('c')), { kind: 'whole' });
  t.is(plan.report(5, 'shard 2', part('c')), undefined);
});
