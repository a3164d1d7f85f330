// ssp and asp over real gRPC, with one worker that is slow: how far the other gets, whom it is told it waits for, what
// the servers' metrics prove, and that all end with the same weights.

import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { HostedRun } from '../../../server/hosted-run.js';
import { reportTo } from '../../../server/metrics.js';
import type { Shard } from '../../../server/shard.js';
import { connect } from '../../../shared/client/index.js';
import { createMetrics } from '../../../shared/metrics/metrics.js';
import { parseExposition, sampleValue } from '../../helpers/exposition.js';
import { openServer, startWorkers, type TestWorker } from '../../helpers/mesh.js';
import { makeSpec } from '../../helpers/shards.js';

const STEPS = 6;

async function meshWithMetrics(t: ExecutionContext) {
  const instruments = [createMetrics('server'), createMetrics('server')];
  const keeper = await openServer(t, { metrics: reportTo(instruments[0]) });
  await openServer(t, { join: keeper.address, metrics: reportTo(instruments[1]) });
  const expositions = () =>
    Promise.all(instruments.map(async ({ registry }) => parseExposition(await registry.metrics())));
  return { address: keeper.address, expositions };
}

/** Each worker does its steps as fast as it can; then all read the end. */
async function race(workers: readonly TestWorker[], from: readonly number[]): Promise<Uint32Array[]> {
  return Promise.all(
    workers.map(async (worker, index) => {
      for (let step = from[index]; step < STEPS; step++) await worker.step(step, index !== 1 || step !== 3);
      return worker.fetchBits(STEPS);
    }),
  );
}

test('ssp: the fast worker gets as far as the bound, is told for whom it waits, and goes on with the slow one', async (t) => {
  const { address, expositions } = await meshWithMetrics(t);
  const spec = makeSpec({ consistency: 'ssp', staleness: 2, workers: 2, globalBatch: 32 });
  let told: ((waiting: { step: number; workers: string[] }) => void) | undefined;
  const waiting = new Promise<{ step: number; workers: string[] }>((resolve) => {
    told = resolve;
  });
  const workers = await startWorkers({ address, spec, run: 'r', onWaiting: (each) => told?.(each) });
  const [fast, slow] = [0, 1].map((rank) => workers.find(({ membership }) => membership.rank === rank)) as [
    TestWorker,
    TestWorker,
  ];
  for (const step of [0, 1]) t.like((await fast.step(step)).outcome, { step, skipped: false });
  let done = false;
  const third = fast.step(2).then((result) => {
    done = true;
    return result;
  });
  t.like(await waiting, { step: 0 });
  t.regex((await waiting).workers.join(), /^worker 1 \(w\d\)$/);
  t.false(done);
  t.is(slow.exchange.step, 0);

  t.like((await slow.step(0)).read, { step: 1 });
  const { read, outcome } = await third;
  t.true(read.step >= 1 && read.step + read.skew === 3);
  t.is(outcome.samples, 11);
  const bits = await race([fast, slow], [3, 1]);
  t.deepEqual(bits[1], bits[0]);
  for (const exposition of await expositions()) {
    const bound = sampleValue(exposition, 'gradloom_staleness_bound_steps', { run: 'r' });
    t.is(bound, 2);
    t.is(sampleValue(exposition, 'gradloom_read_staleness_max_steps', { run: 'r' }), 2);
    for (const rank of ['0', '1']) {
      const within = { rank, le: String(bound) };
      const all = sampleValue(exposition, 'gradloom_read_staleness_steps_count', { rank });
      t.is(sampleValue(exposition, 'gradloom_read_staleness_steps_bucket', within), all);
      t.true(Number(all) > 0);
    }
    t.is(sampleValue(exposition, 'gradloom_steps_total', { outcome: 'skipped' }), 1);
    t.is(sampleValue(exposition, 'gradloom_steps_total', { outcome: 'applied' }), 2 * STEPS - 1);
    t.true(Number(sampleValue(exposition, 'gradloom_waited_for_worker_seconds_total', { rank: '1' })) > 0);
  }
  for (const worker of workers) worker.leave();
});

test('asp: the fast worker does all its steps while the slow one does none, and both end alike', async (t) => {
  const { address, expositions } = await meshWithMetrics(t);
  const spec = makeSpec({ consistency: 'asp', workers: 2, globalBatch: 32 });
  const workers = await startWorkers({ address, spec, run: 'r' });
  const [fast, slow] = workers;
  for (let step = 0; step < STEPS; step++) await fast.step(step);
  t.is(fast.exchange.step, STEPS);
  t.is(slow.exchange.step, 0);
  const bits = await race([fast, slow], [STEPS, 0]);
  t.deepEqual(bits[1], bits[0]);
  for (const exposition of await expositions())
    t.is(sampleValue(exposition, 'gradloom_read_staleness_max_steps', { run: 'r' }), STEPS);
  for (const worker of workers) worker.leave();
});

test('workers of another staleness are refused, with both in the sentence', async (t) => {
  const { address } = await meshWithMetrics(t);
  const values = new Float32Array(4);
  const options = { join: address, tensors: [{ name: 'w', shape: [4], values }], workers: 2 };
  const both = [2, 3].map((staleness) => connect({ ...options, consistency: 'ssp', staleness }));
  // Whoever joins second is refused; the first is left waiting, and is told when the server stops.
  await t.throwsAsync(Promise.race(both), { message: /staleness is 2, got 3|staleness is 3, got 2/ });
  for (const each of both) each.catch(() => undefined);
});

test('the SDK: clients under asp go on alone, and a pull says its skew', async (t) => {
  const { address } = await meshWithMetrics(t);
  const tensors = [
    { name: 'a', shape: [4], values: new Float32Array(4) },
    { name: 'b', shape: [4], values: new Float32Array(4) },
  ];
  const options = {
    join: address,
    run: 'r',
    tensors,
    workers: 2,
    codec: 'fp32',
    optimizer: 'sgd',
    learningRate: 1,
    consistency: 'asp',
  } as const;
  const [first, second] = await Promise.all([connect(options), connect(options)]);
  const gradients = { a: new Float32Array(4).fill(1), b: new Float32Array(4).fill(2) };
  for (const step of [0, 1]) {
    const { outcome, values, ...age } = await first.pushPull(gradients, { loss: 3 });
    t.deepEqual(outcome, { step, skipped: false, samples: 1, loss: 3 });
    t.deepEqual(age, { step: 0, skew: step + 1 });
    t.is(values.b[0], -2 * (step + 1));
  }
  const observer = await connect({ join: address, run: 'r' });
  t.like(await observer.pull(), { step: 0, skew: 2 });
  await second.pushPull(gradients);
  await second.pushPull(gradients);
  const { values, ...age } = await observer.pull(['a']);
  t.deepEqual(age, { step: 2, skew: 0 });
  t.deepEqual([...values.a], [-4, -4, -4, -4]);
  await observer.close();
  await Promise.all([first.close(), second.close()]);
});

test('the SDK refuses a staleness that says nothing, and ssp without one', async (t) => {
  const options = { join: '127.0.0.1:1', tensors: [{ name: 'w', shape: [1], values: new Float32Array(1) }] };
  await t.throwsAsync(connect({ ...options, staleness: 1 }), {
    message: /staleness: expected only with ssp, got it with bsp/,
  });
  await t.throwsAsync(connect({ ...options, consistency: 'ssp' }), {
    message: /staleness: expected a whole number from 0/,
  });
  await t.throwsAsync(connect({ ...options, consistency: 'psp' as never }), {
    message: /expected one of bsp, ssp, asp/,
  });
  await t.throwsAsync(connect({ ...options, consistency: 'asp', codec: 'int8' }), {
    message: /codec: codec int8 expects consistency bsp, got asp/,
  });
});

test('a server that lets a worker go too early is found out by the worker', async (t) => {
  const server = await openServer(t);
  const spec = makeSpec({ consistency: 'ssp', staleness: 1, workers: 1, globalBatch: 32 });
  const [worker] = await startWorkers({ address: server.address, spec, run: 'r' });
  const hosted = server.runs.get('r')?.get(0) as HostedRun;
  const shard = hosted.shard as { encodeUpdate: Shard['encodeUpdate'] };
  const encode = shard.encodeUpdate.bind(shard);
  shard.encodeUpdate = (block) => ({ ...encode(block), clockMin: 0 });
  await worker.step(0);
  await t.throwsAsync(worker.step(1), {
    message: /sent block \d for step 2 with all updates up to step 0 only, a staleness of 1 was agreed/,
  });
  worker.leave();
});
