// However a run is stopped, by Ctrl-C or by the death of any of its processes, it says who is at fault, with the exit
// status of the contract, and nobody is left behind.
import test, { type ExecutionContext } from 'ava';
import { status } from '../../shared/client/membership.js';
import { left, type Program, signal, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

/** Of silence: short, and long enough that a busy machine does not make a living process seem dead. */
const DEADLINE = '--peer-deadline=5';
/** Longer than any of these tests. */
const ENDLESS = '--epochs=100000';
/** With one copy of each shard nobody can take a server's place. */
const ONE_COPY = '--replicas=1';

/** A run of two servers and two workers in the midst of its steps, with the ids of its processes. */
async function training(t: ExecutionContext, ...more: string[]) {
  const { flags } = await tinyRun(t);
  const up = start(t, 'gradloom', ['up', ...flags, ENDLESS, ...more]);
  const { address } = await up.event('ready', ({ role }) => role === 'server');
  await up.event('step');
  const { servers, runs } = await status(String(address), 10_000);
  const pidOf = (label: string | undefined) => Number(label?.split(':').at(-1));
  return {
    up,
    servers: servers.map(({ label }) => pidOf(label)),
    addresses: servers.map(({ info }) => String(info?.address)),
    workers: runs[0].workers.map(({ info }) => pidOf(info?.label)),
  };
}

/** Exit status and last words; fails where anybody is left. */
async function ending(t: ExecutionContext, up: Program) {
  const { code, stderr } = await up.ended;
  t.deepEqual(await left(up), [], 'processes that were left');
  return { code, stderr };
}

test.serial('SIGINT to up alone drains: exit status 130, not a word, and nobody is left', async (t) => {
  const { up } = await training(t);
  up.signal('SIGINT');
  t.deepEqual(await ending(t, up), { code: 130, stderr: [] });
});

test.serial('Ctrl-C on a terminal, which everybody gets, does the same', async (t) => {
  const { up } = await training(t);
  up.signalAll('SIGINT');
  t.deepEqual(await ending(t, up), { code: 130, stderr: [] });
});

test.serial('SIGINT before the first step does the same', async (t) => {
  const { flags } = await tinyRun(t);
  const up = start(t, 'gradloom', ['up', ...flags, ENDLESS]);
  await up.event('ready', ({ role }) => role === 'server');
  up.signal('SIGINT');
  t.deepEqual(await ending(t, up), { code: 130, stderr: [] });
});

test.serial('a second Ctrl-C does not wait, and nobody is left', async (t) => {
  const { up, workers } = await training(t);
  // A worker that does not answer would keep the first one waiting.
  signal(workers[1], 'SIGSTOP');
  up.signal('SIGINT');
  while (up.family().some((line) => line.startsWith(`${workers[0]}:`)))
    await new Promise((resolve) => setTimeout(resolve, 25));
  up.signal('SIGINT');
  t.like(await up.ended, { code: 130, stderr: [] });
  signal(workers[1], 'SIGCONT');
  t.deepEqual(await left(up), []);
});

test.serial('up drains when nobody reads its output any more', async (t) => {
  const { up } = await training(t);
  up.stopReading();
  t.deepEqual(await ending(t, up), { code: 130, stderr: [] });
});

for (const index of [0, 1])
  test.serial(`kill -9 of server ${index} ends the run with one line that names it`, async (t) => {
    const { up, servers } = await training(t, ONE_COPY);
    signal(servers[index], 'SIGKILL');
    const { code, stderr } = await ending(t, up);
    t.is(code, 1);
    t.is(stderr.length, 1, stderr.join('\n'));
    t.regex(stderr[0], new RegExp(`^gradloom: server ${index}( \\(|:| was)`));
  });

for (const index of [0, 1])
  test.serial(
    `kill -9 of the worker of rank ${index} ends the run with one line that names it`,
    async (t) => {
      const { up, workers } = await training(t);
      signal(workers[index], 'SIGKILL');
      const { code, stderr } = await ending(t, up);
      t.is(code, 1);
      t.is(stderr.length, 1, stderr.join('\n'));
      t.regex(stderr[0], /^gradloom: worker [01] was ended by SIGKILL/);
    },
  );

test.serial('kill -9 of up itself: its children end by themselves', async (t) => {
  const { up } = await training(t);
  up.signal('SIGKILL');
  await up.ended;
  t.deepEqual(await left(up), []);
});

test.serial('kill -9 of up while a server is stopped: the others end by themselves', async (t) => {
  const { up, servers } = await training(t, DEADLINE);
  signal(servers[0], 'SIGSTOP');
  up.signal('SIGKILL');
  await up.ended;
  const stillThere = (await left(up, 8_000)).filter((line) => !line.startsWith(`${servers[0]}:`));
  t.deepEqual(stillThere, []);
});

for (const index of [0, 1])
  test.serial(`a server ${index} that stands still is named within --peer-deadline`, async (t) => {
    const { up, servers, addresses } = await training(t, DEADLINE, ONE_COPY);
    signal(servers[index], 'SIGSTOP');
    const { code, stderr } = await ending(t, up);
    t.is(code, 1);
    t.is(stderr.length, 1, stderr.join('\n'));
    t.true(stderr[0].includes(addresses[index]), stderr[0]);
  });

test.serial('a worker that stands still is named within --peer-deadline', async (t) => {
  const { up, workers } = await training(t, DEADLINE);
  signal(workers[1], 'SIGSTOP');
  const { code, stderr } = await ending(t, up);
  t.is(code, 1);
  t.is(stderr.length, 1, stderr.join('\n'));
  t.true(stderr[0].includes(`:${workers[1]})`), stderr[0]);
  t.regex(stderr[0], /its connection broke/);
});
