// A run of two workers on a server whose clock is the test's, looked at as a server does: while steps take what they
// usually take nobody is named, however long that is; who stops is, the sooner the shorter steps are.
import test from 'ava';
import { HostedRun } from '../../server/hosted-run.js';
import { reportTo } from '../../server/metrics.js';
import type { PullCall } from '../../server/reader.js';
import { ServerWaits } from '../../server/server-waits.js';
import { NOTICE_MIN_MS } from '../../shared/limits.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { bulkOf, contributionOf, headerOf, makeSpec, normals } from '../helpers/shards.js';

interface Told {
  waiting?: { step: number; workers: number[]; seconds: number; usualSeconds: number };
}

function training(spec: RunSpec = makeSpec({ workers: 2 })) {
  const layout = layoutOf(spec);
  const exchanged = layout.blocks.filter(({ kind }) => kind !== 'frozen');
  const instruments = createMetrics('server');
  const metrics = reportTo(instruments);
  let nowMs = 0;
  const view = {
    ...{ number: 1, fromStep: 0, servers: [], workers: [], placement: layout.blocks.map(() => 0) },
    ...{ rowPlacement: [], departed: null, shards: [], term: 0, consistency: 1 as const, staleness: 0 },
  };
  const run = new HostedRun(
    'r',
    spec,
    view,
    layout,
    layout.blocks.map(({ index }) => index),
    metrics,
    () => nowMs,
  );
  for (const { index, elements } of layout.blocks)
    run.push(0, { initial: bulkOf(0, index, 'fp32', normals(elements, index)) } as never);
  const told: (Told['waiting'] & { rank: number })[] = [];
  for (let rank = 0; rank < spec.workers; rank++) {
    const call = {
      write({ waiting }: Told, flushed?: () => void) {
        if (waiting) told.push({ rank, ...waiting });
        flushed?.();
        return true;
      },
      end: () => undefined,
    };
    run.subscribe(run.attachReader(call as unknown as PullCall, rank), { codec: 2 });
  }
  const keeper: string[] = [];
  const waits = new ServerWaits({ tell: () => keeper.push('keeper'), onWorkers: metrics.waiting });

  const pass = (ms: number) => {
    const end = nowMs + ms;
    for (let at = nowMs - (nowMs % NOTICE_MIN_MS) + NOTICE_MIN_MS; at <= end; at += NOTICE_MIN_MS) {
      nowMs = at;
      waits.look(new Map([['r', new Map([[0, run]])]]));
    }
    nowMs = end;
  };
  const contribute = (step: number, rank: number) => {
    run.push(rank, { header: { view: 1, step, ...headerOf(step, rank) } } as never);
    for (const { index } of exchanged)
      run.push(rank, { contribution: contributionOf(spec, step, rank, index) } as never);
  };
  /** Each step takes so long; the second worker comes last. */
  const train = (steps: number, stepMs: number, from = 0) => {
    for (let step = from; step < from + steps; step++) {
      pass(stepMs * 0.75);
      contribute(step, 0);
      pass(stepMs * 0.25);
      contribute(step, 1);
    }
  };
  const sample = async (name: string, labels: Record<string, string>) =>
    sampleValue(parseExposition(await instruments.registry.metrics()), name, labels);
  return { run, metrics, told, pass, contribute, train, sample, keeper };
}

test('steps of 8 s: nobody is named but in the first, before anything was measured; then who stops is', async (t) => {
  const { told, pass, contribute, train, sample, keeper } = training();
  train(1, 8000);
  t.true(told.length > 0);
  told.length = 0;
  train(5, 8000, 1);
  t.deepEqual(told, []);
  pass(8000);
  contribute(6, 0);
  pass(7999);
  t.deepEqual(told, []);
  t.is(await sample('gradloom_waiting_for_worker', { rank: '1' }), 0);
  pass(1);
  t.deepEqual(
    told.map(({ rank, workers, step, seconds, usualSeconds }) => [
      rank,
      workers,
      step,
      seconds,
      usualSeconds,
    ]),
    [0, 1].map((rank) => [rank, [1], 6, 16, 8]),
  );
  t.is(await sample('gradloom_waiting_for_worker', { rank: '1' }), 1);
  pass(3000);
  t.is(told.length, 2 * 4);
  contribute(6, 1);
  pass(NOTICE_MIN_MS);
  t.is(await sample('gradloom_waiting_for_worker', { rank: '1' }), 0);
  t.deepEqual(keeper, [], 'no server is waited for');
});

test('who was waited for when the run ended is not waited for any more', async (t) => {
  const { metrics, sample } = training();
  const waits = new ServerWaits({ tell: () => undefined, onWorkers: metrics.waiting });
  metrics.waiting(2, [1]);
  t.is(await sample('gradloom_waiting_for_worker', { rank: '1' }), 1);
  waits.look(new Map());
  t.is(await sample('gradloom_waiting_for_worker', { rank: '1' }), 0);
});

test('steps of 20 ms: who stops is named within half a second', (t) => {
  const { told, pass, contribute, train } = training();
  train(20, 20);
  contribute(20, 0);
  pass(2 * NOTICE_MIN_MS);
  t.deepEqual(told[0]?.workers, [1]);
  t.true(told[0]?.seconds < 0.5);
  t.is(told[0]?.usualSeconds, 0.02);
});

test('ssp: who waits longer than a step usually takes is told for whom, and only that one', (t) => {
  const spec = makeSpec({ workers: 2, consistency: 'ssp', staleness: 1, globalBatch: 32 });
  const { told, pass, contribute, train } = training(spec);
  train(10, 400);
  t.deepEqual(told, []);
  contribute(10, 0);
  contribute(11, 0);
  pass(750);
  t.deepEqual(told, []);
  pass(250);
  t.deepEqual(
    told.map(({ rank, workers }) => [rank, workers]),
    [[0, [1]]],
  );
});

test('the median and the deadline of a run are metrics while it is held', async (t) => {
  const { run, metrics, train, sample } = training();
  metrics.runs([run]);
  metrics.usual([run]);
  t.is(await sample('gradloom_usual_wait_seconds', { run: 'r', wait: 'step' }), undefined);
  train(5, 3000);
  metrics.usual([run]);
  t.is(await sample('gradloom_usual_wait_seconds', { run: 'r', wait: 'step' }), 3);
  t.is(await sample('gradloom_wait_deadline_seconds', { run: 'r', wait: 'step' }), 6);
  metrics.runs([]);
  t.is(await sample('gradloom_usual_wait_seconds', { run: 'r', wait: 'step' }), undefined);
});

test('a straggler is a metric as long as it is one', async (t) => {
  const { metrics, sample } = training();
  const straggler = {
    ...({
      role: 'worker',
      number: 1,
      phase: 'compute',
      seconds: 1,
      peersSeconds: 0.2,
      waitedShare: 0.5,
    } as const),
    ...{ name: 'host:1', fromStep: 3, steps: 2, ratio: 5 },
  };
  const labels = { run: 'r', member: 'worker', number: '1', phase: 'compute' };
  metrics.stragglers([{ run: 'r', straggler }]);
  t.is(await sample('gradloom_straggler_ratio', labels), 5);
  metrics.stragglers([{ run: 'r', straggler: { ...straggler, phase: 'silent', ratio: 7 } }]);
  t.is(await sample('gradloom_straggler_ratio', labels), undefined);
  t.is(await sample('gradloom_straggler_ratio', { ...labels, phase: 'silent' }), 7);
  metrics.stragglers([]);
  t.is(await sample('gradloom_straggler_ratio', { ...labels, phase: 'silent' }), undefined);
});
