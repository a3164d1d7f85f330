// What the keeper keeps of heartbeats: since when somebody is slow, who is silent, and nothing that cannot be true.
import test from 'ava';
import type { Run } from '../../server/coordinator.js';
import { SlownessWatch } from '../../server/slowness-watch.js';
import { HEARTBEATS_MISSED, WAITING_NOTICE_MS } from '../../shared/limits.js';
import type { ShardTimes__Output } from '../../shared/rpc/generated/gradloom/v1/ShardTimes.js';
import type { StepTimes__Output } from '../../shared/rpc/generated/gradloom/v1/StepTimes.js';
import { Refused } from '../../shared/rpc/refusal.js';

const times = (compute: number, more: Partial<StepTimes__Output> = {}): StepTimes__Output => ({
  ...{ steps: 8, data: 0.01, rows: 0, compute, optimizer: 0, encode: 0.01, wait: 0.1, decode: 0.01 },
  servers: [],
  missing: [],
  ...more,
});

const shardTimes = (
  backups: ShardTimes__Output['backups'],
  usualStepSeconds = 0,
  noticeSeconds = 0,
): ShardTimes__Output => ({ backups, usualStepSeconds, noticeSeconds });

function running(workers: number): Run {
  const entries = Array.from({ length: workers }, (_, rank) => ({
    ...{ connection: 100 + rank, rank, label: `host:${rank}`, step: 0, phase: 'exchange', secondsInPhase: 0 },
  }));
  return { id: 'run', state: 'running', workers: entries, servers: [] } as unknown as Run;
}

/** A heartbeat of all workers. */
function beat(
  watch: SlownessWatch,
  run: Run,
  nowMs: number,
  step: number,
  computes: readonly number[],
): void {
  for (const worker of run.workers) worker.step = step;
  for (const [rank, compute] of computes.entries())
    watch.heard(run, run.workers[rank].connection, times(compute), nowMs);
}

test('it is told since which step somebody has been slow without a break', (t) => {
  const [watch, run] = [new SlownessWatch(), running(3)];
  beat(watch, run, 0, 1, [0.2, 0.2, 0.2]);
  t.is(watch.straggler(run, 0), undefined);
  beat(watch, run, 500, 4, [0.2, 1, 0.2]);
  beat(watch, run, 1000, 6, [0.2, 1.1, 0.2]);
  t.like(watch.straggler(run, 1000), {
    ...{ role: 'worker', number: 1, name: 'host:1', phase: 'compute', seconds: 1.1, peersSeconds: 0.2 },
    ...{ fromStep: 4, steps: 2 },
  });
  beat(watch, run, 1500, 8, [0.2, 0.2, 0.2]);
  t.is(watch.straggler(run, 1500), undefined);
  beat(watch, run, 2000, 9, [0.2, 1, 0.2]);
  t.like(watch.straggler(run, 2000), { fromStep: 9, steps: 0 });
});

test('whoever has not been heard of for some heartbeats is silent', (t) => {
  const [watch, run] = [new SlownessWatch(), running(2)];
  beat(watch, run, 0, 1, [0.2, 0.2]);
  watch.heard(run, 101, times(0.2), 3500);
  t.like(watch.straggler(run, 3600), { role: 'worker', number: 0, phase: 'silent', seconds: 3.6 });
  t.is(watch.secondsSilent(run.workers[1], 3600), 0.1);
});

test('a backup is judged by what primaries tell of it, as long as the view has it', (t) => {
  const [watch, run] = [new SlownessWatch(), running(2)];
  const shards = [
    { primary: 0, backups: [1], joining: [] },
    { primary: 1, backups: [0], joining: [] },
  ];
  const servers = [0, 1].map((id) => ({ id, address: `host-${id}:1` }));
  Object.assign(run, { servers, view: { shards } });
  watch.shards(run, 0, shardTimes([{ server: 1, seconds: 2 }]), 0);
  watch.shards(run, 1, shardTimes([{ server: 0, seconds: 2 ** -6 }]), 0);
  beat(watch, run, 0, 3, [0.2, 0.2]);
  t.like(watch.straggler(run, 0), {
    ...{ role: 'server', number: 1, name: 'host-1:1', phase: 'replicate', seconds: 2, peersSeconds: 2 ** -6 },
    fromStep: 3,
  });
  Object.assign(run, { view: { shards: [{ ...shards[0], backups: [] }, shards[1]] } });
  t.is(watch.straggler(run, 0), undefined);
  for (const seconds of [-1, Number.NaN, Number.POSITIVE_INFINITY])
    t.throws(() => watch.shards(run, 0, shardTimes([{ server: 1, seconds }]), 0), { instanceOf: Refused });
});

test('a server that has not been heard of since others began to wait is not named for what may be its backup', (t) => {
  const [watch, run] = [new SlownessWatch(), running(2)];
  const shards = [
    { primary: 0, backups: [1], joining: [] },
    { primary: 1, backups: [0], joining: [] },
  ];
  const servers = [0, 1].map((id) => ({ id, address: `host-${id}:1` }));
  Object.assign(run, { servers, view: { shards } });
  const waits = (nowMs: number, ...seconds: number[]) => {
    for (const worker of run.workers) {
      worker.step = 3;
      const told = seconds.map((each, server) => ({ server, seconds: each }));
      watch.heard(run, worker.connection, times(0.2, { servers: told }), nowMs);
    }
  };
  const backups = (server: number, seconds: number, nowMs: number) =>
    watch.shards(run, 1 - server, shardTimes([{ server, seconds }]), nowMs);
  waits(0, 0.1, 0.1);
  backups(1, 0.01, 100);
  backups(0, 0.01, 100);
  // Blocks of server 1 are missing: it waits for its backup, server 0, and has not been able to say so yet.
  waits(1050, 0.1, 0.95);
  t.is(watch.straggler(run, 1050), undefined);
  backups(0, 0.99, 1100);
  backups(1, 0.01, 1100);
  t.like(watch.straggler(run, 1100), { role: 'server', number: 0, phase: 'replicate' });
  // That another one does not wait for its backup makes it the cause.
  backups(0, 0.01, 1200);
  t.like(watch.straggler(run, 1200), { role: 'server', number: 1, phase: 'exchange', seconds: 0.94 });
  // So does silence, after a while.
  const laterMs = 1200 + HEARTBEATS_MISSED * WAITING_NOTICE_MS;
  waits(laterMs, 2.5, 0.1);
  t.is(watch.straggler(run, laterMs - 100)?.number, 1);
  t.like(watch.straggler(run, laterMs + 1), { role: 'server', number: 0, phase: 'exchange', seconds: 2.49 });
});

test('what a step usually takes is known from whoever holds shards, the keeper or not: the longest counts', (t) => {
  const [watch, run] = [new SlownessWatch(), running(2)];
  const shards = [1, 2].map((primary) => ({ primary, backups: [], joining: [] }));
  Object.assign(run, { view: { shards } });
  t.deepEqual(watch.pace(run), { usualStepSeconds: 0, noticeSeconds: 0 });
  watch.shards(run, 1, shardTimes([], 0.04, 0.25), 0);
  watch.shards(run, 2, shardTimes([], 0.06, 0.3), 0);
  t.deepEqual(watch.pace(run), { usualStepSeconds: 0.06, noticeSeconds: 0.3 });
  // Who has none any more measures none.
  Object.assign(run, { view: { shards: [shards[0]] } });
  t.deepEqual(watch.pace(run), { usualStepSeconds: 0.04, noticeSeconds: 0.25 });
  for (const wrong of [-1, Number.NaN]) {
    t.throws(() => watch.shards(run, 1, shardTimes([], wrong), 0), { instanceOf: Refused });
    t.throws(() => watch.shards(run, 1, shardTimes([], 1, wrong), 0), { instanceOf: Refused });
  }
});

test('nobody is compared before all have taken a step', (t) => {
  const [watch, run] = [new SlownessWatch(), running(3)];
  for (const [rank, compute] of [0.2, 1, 0.2].entries())
    watch.heard(run, 100 + rank, times(compute, { steps: rank === 2 ? 0 : 8 }), 0);
  t.is(watch.straggler(run, 0), undefined);
});

test('whose blocks a worker waits for is known, and since when a server has said nothing', (t) => {
  const [watch, run] = [new SlownessWatch(), running(2)];
  watch.heard(run, 100, times(0.2, { missing: [1] }), 0);
  t.deepEqual(
    run.workers.map((worker) => watch.missingOf(worker)),
    [[1], []],
  );
  t.is(watch.serverSecondsSilent(run, 1, 5000), 0, 'nothing is known of it');
  watch.shards(run, 1, shardTimes([]), 2000);
  t.is(watch.serverSecondsSilent(run, 1, 5000), 3);
});

test('nothing is kept of a worker that has left', (t) => {
  const [watch, run] = [new SlownessWatch(), running(2)];
  beat(watch, run, 0, 1, [0.2, 1]);
  watch.heard(run, 101, times(0.2, { missing: [1] }), 0);
  watch.left(101);
  t.deepEqual(watch.missingOf(run.workers[1]), []);
  t.is(watch.timesOf(run.workers[1]), undefined);
  t.is(watch.straggler(run, 0), undefined);
});

test('times that cannot be are refused', (t) => {
  const [watch, run] = [new SlownessWatch(), running(2)];
  const tooMany = Array.from({ length: 2000 }, (_, server) => ({ server, seconds: 1 }));
  for (const wrong of [
    times(Number.NaN),
    times(-1),
    times(Number.POSITIVE_INFINITY),
    times(1, { servers: [{ server: 1, seconds: Number.NaN }] }),
    times(1, { servers: tooMany }),
    times(1, { missing: tooMany.map(({ server }) => server) }),
  ])
    t.throws(() => watch.heard(run, 100, wrong, 0), { instanceOf: Refused });
  t.is(watch.timesOf(run.workers[0]), undefined);
});
