// What a server says of its waits: whom they are for, to those who wait and to the keeper; while they last, once when
// they are over, and nothing of those that last no longer than usual.
import test from 'ava';
import type { HostedRun, LateStep } from '../../server/hosted-run.js';
import { type ServerWait, ServerWaits, shardTimesOf } from '../../server/server-waits.js';
import { WAITING_NOTICE_MS } from '../../shared/limits.js';
import { Usual } from '../../shared/usual.js';

const usual = new Usual();
usual.observe(200);
const { deadlineMs } = usual;

/** A shard of a run on the servers 10, 11 and 12. */
function shard() {
  let late: LateStep | undefined;
  let announced = 0;
  const run = {
    spec: { workers: 3 },
    view: { servers: [10, 11, 12].map((id) => ({ id, address: `host-${id}:1` })) },
    late: () => late,
    announceWaiting: () => void announced++,
  } as unknown as HostedRun;
  return {
    run,
    announced: () => announced,
    waits(of?: Partial<LateStep>) {
      late = of && { step: 4, workers: [], servers: [], copies: [], waitedMs: deadlineMs, usual, ...of };
    },
  };
}

function watched(count = 1) {
  const told: [string, ServerWait][] = [];
  const ranks: (readonly number[])[] = [];
  const waits = new ServerWaits({
    tell: (run, wait) => told.push([run, wait]),
    onWorkers: (workers, late) => ranks.push([workers, ...late]),
  });
  const shards = Array.from({ length: count }, shard);
  const runs = new Map([['r', new Map(shards.map(({ run }, index) => [index, run]))]]);
  return { told, ranks, waits, shards, look: () => waits.look(runs) };
}

const NOBODY = { step: 0, servers: [], copies: [], seconds: 0, usualSeconds: 0 };

test('a wait is told once it is late, every second while it lasts, and once when it is over', (t) => {
  const { told, shards, look } = watched();
  const [{ waits, announced }] = shards;
  look();
  t.deepEqual(told, []);
  for (const waitedMs of [deadlineMs, deadlineMs + 999, deadlineMs + WAITING_NOTICE_MS]) {
    waits({ servers: [1], waitedMs });
    look();
  }
  const wait = { step: 4, servers: [11], copies: [], usualSeconds: 0.2 };
  t.deepEqual(told.splice(0), [
    ['r', { ...wait, seconds: deadlineMs / 1000 }],
    ['r', { ...wait, seconds: (deadlineMs + WAITING_NOTICE_MS) / 1000 }],
  ]);
  t.is(announced(), 2);
  waits();
  look();
  look();
  t.deepEqual(told, [['r', NOBODY]]);
  waits({ servers: [1] });
  look();
  t.is(announced(), 3, 'the next wait is told of anew');
});

test('the shards of a run are told together, each server once; of a run that has ended nothing is told', (t) => {
  const { told, waits, shards, look } = watched(3);
  shards[0].waits({ step: 5, servers: [1, 2] });
  shards[1].waits({ step: 4, copies: [12], waitedMs: 3 * WAITING_NOTICE_MS });
  shards[2].waits({ step: 6, servers: [1], waitedMs: 2 * WAITING_NOTICE_MS });
  look();
  t.deepEqual(told.splice(0), [
    [
      'r',
      {
        ...{ step: 4, servers: [11, 12], copies: [12], usualSeconds: 0.2 },
        seconds: (3 * WAITING_NOTICE_MS) / 1000,
      },
    ],
  ]);
  waits.look(new Map());
  for (const each of shards) each.waits();
  look();
  t.deepEqual(told, []);
});

test('the keeper is told nothing of waits for workers, the metrics are', (t) => {
  const { told, ranks, shards, look } = watched(2);
  shards[0].waits({ workers: [1] });
  shards[1].waits({ workers: [1, 2] });
  look();
  for (const each of shards) each.waits();
  look();
  t.deepEqual(told, []);
  t.deepEqual(ranks, [[3, 1, 2], [3]]);
});

test('of how long steps take, and wait for a backup, that of the shard is told that takes longest', (t) => {
  const of = (stepMs: number, ...seconds: [number, number][]) => {
    const usualStep = new Usual();
    if (stepMs > 0) for (let step = 0; step < 3; step++) usualStep.observe(stepMs);
    return { usualStep, copySeconds: () => new Map(seconds) };
  };
  t.deepEqual(shardTimesOf([of(0, [11, 0.1], [12, 0.5]), of(400), of(300, [11, 0.2], [12, 0.4])]), {
    backups: [
      { server: 11, seconds: 0.2 },
      { server: 12, seconds: 0.5 },
    ],
    ...{ usualStepSeconds: 0.4, noticeSeconds: 0.8 },
  });
  t.deepEqual(shardTimesOf([of(0)]), { backups: [], usualStepSeconds: 0, noticeSeconds: 0 });
});
