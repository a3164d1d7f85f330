// What a server tells the keeper of its waits for other servers: while they last, once when they are over, and nothing
// of those that have only begun.
import test from 'ava';
import type { HostedRun } from '../../server/hosted-run.js';
import { copyTimesOf, type ServerWait, ServerWaits } from '../../server/server-waits.js';
import { WAITING_NOTICE_MS } from '../../shared/limits.js';

interface Waits {
  step?: number;
  waitedMs?: number;
  /** Indices of shards. */
  servers?: number[];
  copies?: number[];
  copiesMs?: number;
}

/** A shard of a run on the servers 10, 11 and 12. */
const shard = ({ step = 4, waitedMs = 0, servers = [], copies = [], copiesMs = 0 }: Waits) =>
  ({
    view: { servers: [10, 11, 12].map((id) => ({ id, address: `host-${id}:1` })) },
    waiting: () => ({ step, workers: [], waitedMs }),
    serversWaitedFor: () => servers,
    replicating: () => ({ servers: copies, waitedMs: copiesMs }),
  }) as unknown as HostedRun;

const held = (...shards: Waits[]) => new Map([['r', new Map(shards.map((of, index) => [index, shard(of)]))]]);

function watched() {
  const told: [string, ServerWait][] = [];
  return { told, waits: new ServerWaits((run, wait) => told.push([run, wait])) };
}

test('a wait is told at every notice while it lasts, once when it is over, and not before it has lasted', (t) => {
  const { told, waits } = watched();
  waits.look(held({ waitedMs: WAITING_NOTICE_MS - 1, servers: [1] }));
  waits.look(held({ copies: [12], copiesMs: WAITING_NOTICE_MS - 1 }));
  t.deepEqual(told, []);
  waits.look(held({ waitedMs: WAITING_NOTICE_MS, servers: [1] }));
  waits.look(held({ waitedMs: 2 * WAITING_NOTICE_MS, servers: [1] }));
  const seconds = WAITING_NOTICE_MS / 1000;
  t.deepEqual(told.splice(0), [
    ['r', { step: 4, servers: [11], copies: [], seconds }],
    ['r', { step: 4, servers: [11], copies: [], seconds: 2 * seconds }],
  ]);
  waits.look(held({}));
  waits.look(held({}));
  t.deepEqual(told, [['r', { step: 0, servers: [], copies: [], seconds: 0 }]]);
});

test('the shards of a run are told together, each server once; of a run that has ended nothing is told', (t) => {
  const { told, waits } = watched();
  waits.look(
    held(
      { step: 5, waitedMs: WAITING_NOTICE_MS, servers: [1, 2] },
      { step: 4, waitedMs: 0, copies: [12], copiesMs: 3 * WAITING_NOTICE_MS },
      { step: 6, waitedMs: 2 * WAITING_NOTICE_MS, servers: [1] },
      // Nobody is waited for, however long nothing was applied.
      { step: 1, waitedMs: 9 * WAITING_NOTICE_MS },
    ),
  );
  t.deepEqual(told.splice(0), [
    ['r', { step: 4, servers: [11, 12], copies: [12], seconds: (3 * WAITING_NOTICE_MS) / 1000 }],
  ]);
  waits.look(new Map());
  waits.look(held({}));
  t.deepEqual(told, []);
});

test('for how long steps wait for a backup is told of the shard that waits longest', (t) => {
  const of = (...seconds: [number, number][]) => ({ copySeconds: () => new Map(seconds) });
  t.deepEqual(copyTimesOf([of([11, 0.1], [12, 0.5]), of(), of([11, 0.2], [12, 0.4])]), [
    { server: 11, seconds: 0.2 },
    { server: 12, seconds: 0.5 },
  ]);
  t.deepEqual(copyTimesOf([of()]), []);
});
