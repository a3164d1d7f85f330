// A real Prometheus watches a real run: every query of the dashboard returns data, and the figures that a run must
// move have moved.
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { queriesOf, substitute, trainingDashboard } from '../helpers/dashboard.js';
import { parseExposition, type Sample } from '../helpers/exposition.js';
import { start } from '../helpers/processes.js';
import { prometheusTest, startPrometheus } from '../helpers/prometheus.js';
import { tinyRun } from '../helpers/tiny-run.js';

/** A run that goes on until the test ends, and where its processes serve their metrics. */
async function training(t: ExecutionContext) {
  const { flags, folder } = await tinyRun(t);
  const snapshots = [`--snapshots=${join(folder, 'snapshots')}`, '--snapshot-steps=10'];
  const run = ['--epochs=100000', '--servers=2', '--workers=2', ...snapshots];
  const up = start(t, 'gradloom', ['up', ...flags, ...run]);
  await up.event('epoch', ({ epoch }) => epoch === 2);
  const urls = (role: string) =>
    up.events
      .filter((event) => event.event === 'ready' && event.role === role)
      .map(({ metrics }) => String(metrics));
  return { up, servers: urls('server'), workers: urls('worker') };
}

/** Series that are above zero once a run has been through an epoch, on every process of the role. */
const MOVED = {
  server: [
    'gradloom_run_info codec=fp16 training_job=small',
    'gradloom_steps_total outcome=applied',
    'gradloom_loss split=train',
    'gradloom_learning_rate',
    'gradloom_snapshot_bytes_total',
    'gradloom_bytes_total direction=received codec=fp16',
    'gradloom_bytes_total direction=sent codec=fp16',
    'gradloom_elements_total direction=received',
    'gradloom_contributions_total result=accepted',
    'gradloom_blocks_applied_total',
    'gradloom_apply_seconds_total phase=optimizer',
    'gradloom_apply_seconds_total phase=aggregate',
    'gradloom_parameters',
    'gradloom_runs state=training',
    'gradloom_view_number',
    'gradloom_view_members member=server',
  ],
  worker: [
    'gradloom_run_info codec=fp16 training_job=small',
    'gradloom_steps_total outcome=applied',
    'gradloom_samples_total',
    'gradloom_loss split=train',
    'gradloom_loss split=test',
    'gradloom_accuracy_ratio split=train',
    'gradloom_accuracy_ratio split=test',
    ...['data', 'compute', 'encode', 'wait', 'decode', 'step'].map(
      (phase) => `gradloom_step_phase_seconds_sum phase=${phase}`,
    ),
    'gradloom_bytes_total direction=sent codec=fp16',
    'gradloom_bytes_total direction=received codec=fp16',
    'gradloom_epoch',
    'gradloom_cache_requests_total result=hit',
    'gradloom_view_members member=worker',
  ],
} as const;

function sumOf(samples: readonly Sample[], series: string): number {
  const [name, ...labels] = series.split(' ');
  return samples
    .filter((sample) => sample.name === name)
    .filter((sample) => labels.every((pair) => sample.labels[pair.split('=')[0]] === pair.split('=')[1]))
    .reduce((sum, { value }) => sum + value, 0);
}

/** Those of the series that are not above zero, at last after the deadline. */
async function unmoved(url: string, wanted: readonly string[], deadlineMs = 20_000): Promise<string[]> {
  const started = Date.now();
  for (;;) {
    const samples = parseExposition(await (await fetch(url)).text());
    const missing = wanted.filter((series) => !(sumOf(samples, series) > 0));
    if (missing.length === 0 || Date.now() - started > deadlineMs) return missing;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test.serial('a run moves the metrics of servers and workers, and both say that they are well', async (t) => {
  const { servers, workers } = await training(t);
  for (const [role, urls] of [
    ['server', servers],
    ['worker', workers],
  ] as const) {
    t.is(urls.length, 2);
    for (const url of urls) {
      t.deepEqual(await unmoved(url, MOVED[role]), [], role);
      const health = await fetch(url.replace('/metrics', '/healthz'));
      t.deepEqual([health.status, await health.json()], [200, { status: 'ok' }]);
    }
  }
});

prometheusTest('every query of the dashboard returns data of a real run', async (t) => {
  t.timeout(170_000);
  const { up, servers, workers } = await training(t);
  const prometheus = await startPrometheus([...servers, ...workers].map((url) => new URL(url).host));
  t.teardown(() => prometheus.stop());
  await prometheus.until(
    'min(rate(gradloom_samples_total[10s]))',
    (series) => series[0]?.values[0][1] > 0,
    60_000,
  );
  for (const { panel, expression } of queriesOf(await trainingDashboard())) {
    const query = substitute(expression, '15s');
    const series = await prometheus.until(query, (found) => found.length > 0, 60_000);
    for (const { values } of series) t.true(Number.isFinite(values[0][1]), `${panel}: ${expression}`);
  }
  const [nodes] = await prometheus.query('count(up == 1)');
  t.is(nodes.values[0][1], 4);
  up.signal('SIGINT');
  t.is((await up.ended).code, 130);
});
