// The metrics of a process: names, labels, and the bound on what peers can make of them.
import test from 'ava';
import { Registry } from 'prom-client';
import { type Definition, METRICS, type Role } from '../../../shared/metrics/definitions.js';
import { createInstrument } from '../../../shared/metrics/instruments.js';
import { createMetrics } from '../../../shared/metrics/metrics.js';
import { parseExposition, sampleValue } from '../../helpers/exposition.js';

const TABLE: [string, Definition][] = Object.entries(METRICS);

for (const [key, { name, type, help, labels, buckets }] of TABLE) {
  test(`${name} is named as Prometheus advises`, (t) => {
    t.regex(name, /^gradloom_[a-z]+(_[a-z]+)*$/);
    t.is(name.endsWith('_total'), type === 'counter');
    t.is(type === 'histogram', buckets !== undefined);
    t.deepEqual(buckets, buckets && [...buckets].sort((a, b) => a - b));
    t.notRegex(name, /_(ms|milliseconds|kb|mib|percent)(_|$)/);
    t.is(name.includes('_seconds'), key.includes('Seconds'));
    t.is(/_bytes(_|$)/.test(name), /bytes/i.test(key));
    t.true(help.endsWith('.'));
    for (const label of Object.keys(labels)) {
      t.regex(label, /^[a-z]+(_[a-z]+)*$/);
      t.false(
        ['role', 'job', 'instance', 'le', 'quantile'].includes(label),
        `${label} means something to Prometheus`,
      );
    }
  });
}

test('no name is given twice', (t) => {
  t.is(new Set(TABLE.map(([, { name }]) => name)).size, TABLE.length);
});

for (const role of ['server', 'worker'] as Role[]) {
  test(`a ${role} registers its own metrics and Node's, each with its role`, async (t) => {
    const { registry } = createMetrics(role);
    const names = registry.getMetricsAsArray().map(({ name }) => name);
    for (const [, definition] of TABLE) {
      t.is(names.includes(definition.name), definition.roles.includes(role), definition.name);
    }
    t.true(names.includes('nodejs_eventloop_lag_p99_seconds'));
    t.true(names.includes('process_resident_memory_bytes'));
    for (const { labels, name } of parseExposition(await registry.metrics())) t.is(labels.role, role, name);
  });
}

test('two processes in one do not share anything', async (t) => {
  const first = createMetrics('worker');
  const second = createMetrics('worker');
  first.samples.add(5);
  t.regex(await first.registry.metrics(), /gradloom_samples_total\{role="worker"\} 5\n/);
  t.regex(await second.registry.metrics(), /gradloom_samples_total\{role="worker"\} 0\n/);
});

test('a registry that is handed in is filled', (t) => {
  const registry = new Registry();
  t.is(createMetrics('server', registry).registry, registry);
  t.true(registry.getMetricsAsArray().length > 20);
});

test('what is counted, set and observed is what is shown', async (t) => {
  const worker = createMetrics('worker');
  worker.bytes.add(100, { direction: 'sent', codec: 'fp16' });
  worker.bytes.add(50, { direction: 'sent', codec: 'fp16' });
  worker.loss.set(2.3, { run: 'a "b"', split: 'train' });
  worker.stepPhaseSeconds.observe(0.02, { phase: 'compute' });
  const samples = parseExposition(await worker.registry.metrics());
  t.is(sampleValue(samples, 'gradloom_bytes_total', { direction: 'sent', codec: 'fp16' }), 150);
  t.is(sampleValue(samples, 'gradloom_loss', { run: 'a "b"', split: 'train' }), 2.3);
  const bucket = (le: string) =>
    sampleValue(samples, 'gradloom_step_phase_seconds_bucket', { phase: 'compute', le });
  t.is(bucket('0.01'), 0);
  t.is(bucket('0.025'), 1);
  t.is(bucket('+Inf'), 1);
  t.is(sampleValue(samples, 'gradloom_step_phase_seconds_sum', { phase: 'compute' }), 0.02);
});

test('counters and histograms with listed labels are there from the start, as zero', async (t) => {
  const samples = parseExposition(await createMetrics('server').registry.metrics());
  t.is(sampleValue(samples, 'gradloom_steps_total', { outcome: 'skipped' }), 0);
  t.is(sampleValue(samples, 'gradloom_bytes_total', { direction: 'received', codec: 'bf16' }), 0);
  t.is(sampleValue(samples, 'gradloom_apply_seconds_total', { phase: 'optimizer' }), 0);
});

test('a counter refuses to go down or to become no number', (t) => {
  const { samples } = createMetrics('worker');
  t.throws(() => samples.add(-1), { instanceOf: RangeError });
  t.throws(() => samples.add(Number.NaN), { message: /expected an amount of 0 or more, got NaN/ });
});

test('a thousand runs and ranks make no more series than their bound, the rest is added up as other', async (t) => {
  const server = createMetrics('server');
  for (let index = 0; index < 1000; index++) {
    server.waitedForWorkerSeconds.add(1, { rank: String(index) });
    server.loss.set(index, { run: `run ${index}`, split: 'train' });
    server.refusals.add(1, { code: `CODE_${index}` });
  }
  const lines = (await server.registry.metrics()).split('\n');
  const of = (name: string) => lines.filter((line) => line.startsWith(`${name}{`));
  t.is(of('gradloom_waited_for_worker_seconds_total').length, 65);
  t.is(of('gradloom_refusals_total').length, 65);
  t.is(of('gradloom_loss').length, 17);
  t.true(of('gradloom_waited_for_worker_seconds_total').some((line) => /rank="other".*\} 936$/.test(line)));
});

test('a value that a listed label does not know is counted as other', async (t) => {
  const registry = new Registry();
  const steps = createInstrument(METRICS.steps, registry);
  steps.add(1, { outcome: 'exploded' as 'applied' });
  t.regex(await registry.metrics(), /gradloom_steps_total\{outcome="other"\} 1\n/);
});

test('a run that ended is forgotten, and its place is free for another', async (t) => {
  const registry = new Registry();
  const loss = createInstrument(METRICS.loss, registry);
  for (let index = 0; index < 100; index++) {
    loss.set(index, { run: `run ${index}`, split: 'train' });
    loss.set(index, { run: `run ${index}`, split: 'test' });
    if (index > 0) loss.forget({ run: `run ${index - 1}` });
  }
  const series = (await registry.metrics()).split('\n').filter((line) => line.startsWith('gradloom_loss{'));
  t.deepEqual(series.sort(), [
    'gradloom_loss{run="run 99",split="test"} 99',
    'gradloom_loss{run="run 99",split="train"} 99',
  ]);
});
