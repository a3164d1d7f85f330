// Nodes with both roles: nobody in the middle, the same bits as with servers, and no more bytes than a ring needs.
import test, { type ExecutionContext } from 'ava';
import { status } from '../../shared/client/membership.js';
import { left, signal, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const PEER = ['--serve', '--listen=127.0.0.1:0'];

/** The first peer of a mesh, with the address that the others join. */
async function startFirst(t: ExecutionContext, ...flags: string[]) {
  const first = start(t, 'gradloom-worker', [...PEER, ...flags]);
  const { address } = await first.event('serving');
  return { first, address: String(address) };
}

test.serial(
  'three peers give the weights that one server and three workers give, and send what a ring would',
  async (t) => {
    t.timeout(120_000);
    const tiny = await tinyRun(t);
    const run = async (...more: string[]) => {
      const up = start(t, 'gradloom', ['up', ...tiny.flags, '--epochs=2', '--batch=63', ...more]);
      const { code, stderr } = await up.ended;
      t.is(code, 0, stderr.join('\n'));
      t.deepEqual(await left(up), []);
      return tiny.readSummary();
    };
    const apart = await run('--servers=1', '--workers=3');
    const peers = await run('--peers=3');
    t.is(peers.weightsSha256, apart.weightsSha256);
    t.like(peers, { servers: 3, workers: 3, steps: apart.steps, accuracy: apart.accuracy });
    // Of what all workers push to servers elsewhere, peers push what is not their own: two thirds.
    t.is(peers.bytesPushed, (apart.bytesPushed * 2) / 3);
    t.is(peers.bytesPulled, (apart.bytesPulled * 2) / 3);
  },
);

test.serial('peers, a server and a worker mix, started one by one', async (t) => {
  t.timeout(120_000);
  const tiny = await tinyRun(t);
  const alone = await start(t, 'gradloom', ['up', ...tiny.flags, '--epochs=1']).ended;
  t.is(alone.code, 0, alone.stderr.join('\n'));
  const { weightsSha256 } = await tiny.readSummary();

  const flags = [...tiny.flags, '--workers=2', '--epochs=1'];
  const { first, address } = await startFirst(t, ...flags);
  const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', `--join=${address}`, '--json']);
  await server.event('ready');
  const worker = start(t, 'gradloom-worker', [...flags, `--join=${address}`]);
  for (const program of [first, worker]) {
    const { code, stderr } = await program.ended;
    t.is(code, 0, stderr.join('\n'));
  }
  t.like(await tiny.readSummary(), { weightsSha256, servers: 2, workers: 2 });
  // The keeper was a peer, and has gone with its run.
  t.is((await server.ended).code, 1);
});

for (const index of [0, 1])
  test.serial(`kill -9 of peer ${index} ends the run with one line that names it`, async (t) => {
    const { flags } = await tinyRun(t);
    const up = start(t, 'gradloom', ['up', ...flags, '--epochs=100000', '--peers=2']);
    const { address } = await up.event('serving');
    await up.event('step');
    const { servers } = await status(String(address), 10_000);
    signal(Number(servers[index].label.split(':').at(-1)), 'SIGKILL');
    const { code, stderr } = await up.ended;
    t.is(code, 1);
    t.is(stderr.length, 1, stderr.join('\n'));
    t.regex(stderr[0], /^gradloom: peer [01] was ended by SIGKILL/);
    t.deepEqual(await left(up), []);
  });

test.serial('Ctrl-C to a peer that waits for others ends it with 130', async (t) => {
  const { flags } = await tinyRun(t);
  const { first } = await startFirst(t, ...flags, '--workers=2');
  await first.event('joined');
  first.signal('SIGINT');
  t.like(await first.ended, { code: 130, stderr: [] });
  t.deepEqual(await left(first), []);
});

test.serial('the metrics of a peer are those of both roles', async (t) => {
  const { flags } = await tinyRun(t);
  const { first } = await startFirst(t, ...flags, '--workers=1', '--epochs=100000');
  const { metrics } = await first.event('ready');
  await first.event('step');
  const text = await (await fetch(String(metrics))).text();
  for (const role of ['server', 'worker']) {
    t.regex(text, new RegExp(`^gradloom_steps_total\\{outcome="applied",role="${role}"\\} [1-9]`, 'm'));
  }
  // Alone, it sends nobody anything.
  t.notRegex(text, /^gradloom_(bytes|elements)_total\{[^}]*\} [1-9]/m);
  const types = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
  t.deepEqual(types, [...new Set(types)]);
  t.true(types.includes('process_cpu_seconds_total'));
});
