// Backup workers over real servers and the client that workers use: who was late takes the newest parameters, at one
// version, and goes on; who was taken gets the blocks of that very step, however late it reads them.
import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';
import { HostedRun, type PushCall } from '../../server/hosted-run.js';
import { reportTo } from '../../server/metrics.js';
import type { PullCall } from '../../server/reader.js';
import { STREAM_UNSENT_MAX } from '../../shared/limits.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import type { Bulk } from '../../shared/rpc/bulk.js';
import { Framed } from '../../shared/rpc/frame.js';
import { deserializePull } from '../../shared/rpc/proto.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { layoutOf } from '../../shared/run/spec.js';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { openMesh, startWorkers } from '../helpers/mesh.js';
import { bitsOfAll, bulkOf, contributionOf, headerOf, makeSpec, normals } from '../helpers/shards.js';
import { trainContributors } from '../helpers/training.js';

const spec = makeSpec({ workers: 3, backupWorkers: 1 });
const layout = layoutOf(spec);

test('who is late takes the newest parameters, is told what it missed, and is taken again', async (t) => {
  const [{ address }] = await openMesh(t, 3);
  const workers = await startWorkers({ address, spec });
  const [first, second, third] = workers.sort((a, b) => a.membership.rank - b.membership.rank);
  for (let step = 0; step < 3; step++)
    for (const { taken, step: next } of await Promise.all([first.step(step), second.step(step)]))
      t.deepEqual([taken, next], [true, step + 1]);
  const late = await third.step(0);
  t.like(late, { taken: false, step: 3, bytesPushed: 0 });
  t.like(late.passed, { applied: 3, skipped: 0, late: [0, 0, 3] });
  const bits = (values: Float32Array[]) =>
    new Uint32Array(Float32Array.from(values.flatMap((block) => [...block])).buffer);
  t.deepEqual(bits(third.parameters()), await third.fetchBits(3));
  t.true((await Promise.all([third.step(3), first.step(3)])).every(({ taken }) => taken));
  t.like(await second.step(3), { taken: false, step: 4, passed: { late: [0, 1, 0] } });
  const taken = [
    [0, 1],
    [0, 1],
    [0, 1],
    [0, 2],
  ];
  t.deepEqual(await second.fetchBits(4), bitsOfAll(trainContributors(spec, taken)));
  for (const worker of workers) worker.leave();
});

test('workers of random speed on three servers: every step takes two of three, and all end with the same', async (t) => {
  t.timeout(120_000);
  const steps = 40;
  const servers = await openMesh(t, 3);
  const workers = await startWorkers({ address: servers[0].address, spec });
  const results = await Promise.all(
    workers.map(async ({ step, exchange, membership }, index) => {
      const late = [0, 0, 0];
      let done = { applied: 0, skipped: 0 };
      let taken = 0;
      while (exchange.step < steps) {
        await pause((7 * exchange.step + 5 * index) % 4);
        // One step is skipped by whoever is taken in it.
        const result = await step(exchange.step, exchange.step !== 20);
        if (result.taken) taken++;
        for (const [rank, count] of (result.passed?.late ?? []).entries()) late[rank] += count;
        const { applied = 0, skipped = 0 } = result.passed ?? {};
        done = { applied: done.applied + applied, skipped: done.skipped + skipped };
      }
      return { rank: membership.rank, late, taken, done };
    }),
  );
  for (const { rank, late, taken, done } of results) {
    t.deepEqual(late, results[0].late);
    t.is(late[rank] + taken, steps);
    t.deepEqual(done, { applied: steps - 1, skipped: 1 });
  }
  t.is(
    results[0].late.reduce((sum, count) => sum + count, 0),
    steps,
  );
  const [bits, ...others] = await Promise.all(workers.map(({ fetchBits }) => fetchBits(steps)));
  for (const other of others) t.deepEqual(other, bits);
  for (const worker of workers) worker.leave();
});

interface Written {
  waiting?: { servers: number[]; workers: number[] };
  refusal?: { sentence: string };
  outcome?: { contributors: number[] };
}

/** A run on one of two servers, which owns all blocks, with a reader for each worker that flushes when it is told to. */
function hosted(index: number) {
  const server = (id: number) => ({ id, address: `127.0.0.1:${id}`, weight: 1 });
  const view = {
    number: 1,
    fromStep: 0,
    servers: [server(7), server(8)],
    workers: [],
    placement: layout.blocks.map(() => index),
    rowPlacement: [],
    departed: null,
    shards: [],
    term: 0,
    consistency: 0 as const,
    staleness: 0,
  };
  const owned = layout.blocks.map(({ index: block }) => block);
  const metrics = createMetrics('server');
  const run = new HostedRun('r', spec, view, layout, owned, reportTo(metrics), () => 0, index);
  const lost = new Map<number, string>();
  run.agreeOver({ send: () => undefined, lost: (at) => lost.get(at), close() {} });
  for (const { index: block, elements } of layout.blocks)
    run.shard.initial(0, bulkOf(0, block, 'fp32', normals(elements, block)));
  const readers = [0, 1, 2].map((rank) => {
    const written: Written[] = [];
    const blocks: Framed[] = [];
    const unflushed: (() => void)[] = [];
    const call = {
      write(message: Written | Framed, flushed?: () => void) {
        if (message instanceof Framed) {
          blocks.push(message);
          if (flushed) unflushed.push(flushed);
          return true;
        }
        written.push(message);
        flushed?.();
        return true;
      },
      end: () => undefined,
    };
    run.attachWriter(rank, call as unknown as PushCall);
    run.subscribe(run.attachReader(call as unknown as PullCall, rank), { codec: 2 });
    return { written, blocks, unflushed };
  });
  const exchanged = layout.blocks.filter(({ kind }) => kind !== 'frozen').map(({ index: block }) => block);
  const header = (rank: number, step: number) =>
    run.push(rank, { header: { step, ...headerOf(step, rank) } } as never);
  const contributions = (rank: number, step: number) => {
    for (const block of exchanged)
      run.push(rank, { contribution: contributionOf(spec, step, rank, block) } as never);
  };
  return { run, readers, metrics, lost, header, contributions, exchanged };
}

test('a worker that was taken gets the blocks of that step however late it reads; one that was not gets none', (t) => {
  const { readers, header, contributions, exchanged } = hosted(0);
  const versions = ({ blocks }: { blocks: Framed[] }) =>
    blocks.map(({ message }) => (deserializePull(message) as { block: Bulk }).block.version);
  const takeStep = (step: number, ranks: readonly number[]) => {
    for (const rank of ranks) header(rank, step);
    for (const rank of ranks) contributions(rank, step);
  };
  takeStep(0, [0, 1]);
  t.true(exchanged.length > STREAM_UNSENT_MAX);
  t.is(readers[0].blocks.length, STREAM_UNSENT_MAX);
  while (readers[1].unflushed.length > 0) readers[1].unflushed.shift()?.();
  // The first one reads nothing while the others go on.
  takeStep(1, [1, 2]);
  takeStep(2, [1, 2]);
  while (readers[0].unflushed.length > 0) readers[0].unflushed.shift()?.();
  t.deepEqual(
    versions(readers[0]),
    exchanged.map(() => 1),
  );
  t.true(versions(readers[2]).every((version) => version > 1));
  t.deepEqual(
    readers[0].written.flatMap(({ outcome }) => (outcome ? [outcome.contributors] : [])),
    [
      [0, 1],
      [1, 2],
      [1, 2],
    ],
  );
});

test('a server that does not decide names the one that does, and counts what came late', async (t) => {
  const { run, readers, metrics, lost, header, contributions } = hosted(1);
  header(1, 0);
  run.announceWaiting();
  t.like(readers[0].written.at(-1), { waiting: { servers: [], workers: [0, 2] } });
  for (const rank of [0, 2]) header(rank, 0);
  contributions(1, 0);
  t.deepEqual(run.serversWaitedFor(), [0]);
  run.announceWaiting();
  t.like(readers[0].written.at(-1), { waiting: { servers: [0], workers: [] } });
  const cut = { step: 0, contributors: [0, 2] };
  const error = t.throws(() => run.cut(1, cut), { instanceOf: Refused });
  t.regex(error?.sentence ?? '', /from server 7, the first of the view, got them from server 8/);
  run.cut(0, cut);
  t.deepEqual(run.serversWaitedFor(), []);
  for (const rank of [0, 2]) contributions(rank, 0);
  t.is(run.shard.step, 1);
  const samples = parseExposition(await metrics.registry.metrics());
  for (const [rank, late] of [0, 1, 0].entries())
    t.is(sampleValue(samples, 'gradloom_late_contributions_total', { rank: String(rank) }), late);
  t.true((sampleValue(samples, 'gradloom_contributions_total', { result: 'late' }) ?? 0) > 0);
  lost.set(0, 'the connection was reset');
  for (const rank of [0, 1]) header(rank, 1);
  run.serverLost();
  t.is(
    readers[0].written.at(-1)?.refusal?.sentence,
    'it waits for the contributors of step 1 from server 7 (127.0.0.1:7), which is out of reach: the connection was reset; step 1 has been open for 0.0 s, a step usually takes 0.0 ms',
  );
});
