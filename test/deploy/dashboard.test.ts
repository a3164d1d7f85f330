// The dashboard shows what the processes measure: every name, label and value in it exists, nothing is left out,
// and a real Prometheus that scraped a server and two workers returns data for each of its queries.
import test from 'ava';
import { type Definition, METRICS, type Role } from '../../shared/metrics/definitions.js';
import { serveMetrics } from '../../shared/metrics/http.js';
import { createMetrics, type ServerMetrics, type WorkerMetrics } from '../../shared/metrics/metrics.js';
import { type Panel, queriesOf, substitute, trainingDashboard } from '../helpers/dashboard.js';
import { prometheusTest, startPrometheus } from '../helpers/prometheus.js';

const TABLE = Object.values(METRICS) as Definition[];
/** What Prometheus itself puts on a series, or on a histogram's buckets. */
const TARGET_LABELS = ['role', 'instance', 'job', 'le'];
/** Panels that show a counter as it stands, since the start, on purpose. */
const CUMULATIVE = ['Steps skipped', 'Data cache', 'View', 'Shards taken over', 'Copies that differed'];
const dashboard = await trainingDashboard();
const queries = queriesOf(dashboard);

/** The metrics of an expression, each with the matchers that stand after it. */
function selectors(expression: string): { name: string; matchers: [string, string, string][] }[] {
  return [...expression.matchAll(/\b((?:gradloom|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name, inside = '']) => ({
      name,
      matchers: [...inside.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
        ([, label, operator, value]) => [label, operator, value],
      ),
    }),
  );
}

function definitionOf(name: string): Definition | undefined {
  return TABLE.find(
    (definition) =>
      definition.name === name ||
      (definition.type === 'histogram' && name.replace(/_(bucket|sum|count)$/, '') === definition.name),
  );
}

/** Node's metrics, by role: all roles have the same. */
const nodeMetrics = createMetrics('server')
  .registry.getMetricsAsArray()
  .map(({ name }) => name)
  .filter((name) => !name.startsWith('gradloom_'));

for (const { panel, expression } of queries) {
  test(`"${panel}" asks for what exists: ${expression}`, (t) => {
    const found = selectors(expression);
    t.true(found.length > 0);
    const labels = new Set(TARGET_LABELS);
    for (const { name, matchers } of found) {
      const definition = definitionOf(name);
      if (!definition) {
        t.true(nodeMetrics.includes(name), `${name} is no metric of ours or of Node`);
        continue;
      }
      for (const label of Object.keys(definition.labels)) labels.add(label);
      for (const [label, operator, value] of matchers) {
        if (label === 'role')
          t.true(definition.roles.includes(value as Role), `${name} is not measured by a ${value}`);
        if (TARGET_LABELS.includes(label)) continue;
        const allowed = definition.labels[label];
        t.truthy(allowed, `${name} has no label ${label}`);
        if (Array.isArray(allowed) && !operator.includes('~'))
          t.true(allowed.includes(value), `${label}="${value}"`);
      }
      const rated = new RegExp(`\\brate\\(${name}\\b`).test(expression);
      t.is(rated, definition.type !== 'gauge' && !CUMULATIVE.includes(panel), name);
    }
    for (const [, list] of expression.matchAll(/\bby \(([^)]*)\)/g)) {
      for (const label of list.split(',')) t.true(labels.has(label.trim()), `by (${label})`);
    }
  });
}

for (const { panel, legend, expression } of queries) {
  if (!legend.includes('{{')) continue;
  test(`the legend "${legend}" of "${panel}" names labels that are left: ${expression}`, (t) => {
    const aggregated = /\bby \(([^)]*)\)/
      .exec(expression)?.[1]
      .split(',')
      .map((label) => label.trim());
    for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g)) {
      t.true((aggregated ?? TARGET_LABELS).includes(label), label);
    }
  });
}

test('every metric of ours is in the dashboard', (t) => {
  const variables = dashboard.templating.list.map(({ query }) =>
    typeof query === 'string' ? query : query.query,
  );
  const used = [...queries.map(({ expression }) => expression), ...variables].flatMap(selectors);
  const names = new Set(used.map(({ name }) => definitionOf(name)?.name));
  t.deepEqual(
    TABLE.map(({ name }) => name).filter((name) => !names.has(name)),
    [],
  );
});

test('every panel says what it shows, in a unit, on a place of its own', (t) => {
  const overlaps = (a: Panel['gridPos'], b: Panel['gridPos']) =>
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
  t.is(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
  for (const [index, panel] of dashboard.panels.entries()) {
    t.true(panel.gridPos.x + panel.gridPos.w <= 24);
    for (const other of dashboard.panels.slice(index + 1)) {
      t.false(overlaps(panel.gridPos, other.gridPos), `${panel.title} and ${other.title}`);
    }
    if (panel.type === 'row') continue;
    t.truthy(panel.description, panel.title);
    t.truthy(panel.fieldConfig?.defaults.unit, panel.title);
    t.true((panel.targets ?? []).length > 0, panel.title);
  }
});

/** Moves every metric of a server as a run would. */
function work(server: ServerMetrics, workers: readonly WorkerMetrics[], step: number): void {
  const run = 'a run';
  const info = { run, training_job: 'cifar10', codec: 'fp16', consistency: 'bsp' } as const;
  for (const [rank, worker] of workers.entries()) {
    worker.runInfo.set(1, info);
    worker.steps.add(1, { outcome: 'applied' });
    worker.samples.add(32);
    worker.epoch.set(1);
    worker.loss.set(2 / step, { run, split: 'train' });
    worker.accuracy.set(1 - 1 / step, { run, split: 'train' });
    worker.loss.set(2 / step, { run, split: 'test' });
    worker.accuracy.set(1 - 1 / step, { run, split: 'test' });
    for (const phase of ['data', 'compute', 'encode', 'wait', 'decode', 'step'] as const) {
      worker.stepPhaseSeconds.observe(0.01 * (rank + 1), { phase });
    }
    for (const direction of ['sent', 'received'] as const) {
      worker.bytes.add(2000, { direction, codec: 'fp16' });
      worker.elements.add(1000, { direction });
      server.bytes.add(2000, { direction, codec: 'fp16' });
      server.elements.add(1000, { direction });
    }
    for (const direction of ['sent', 'received'] as const) {
      worker.rows.add(100, { direction, table: 'words' });
      worker.rowBytes.add(3300, { direction, table: 'words' });
      server.rows.add(100, { direction, table: 'words' });
    }
    worker.cacheRequests.add(32, { result: 'hit' });
    worker.inFlightBytes.set(1000);
    worker.viewNumber.set(1);
    worker.snapshotBytes.add(1000);
    worker.viewMembers.set(2, { member: 'worker' });
    server.contributions.add(1, { result: 'accepted' });
    server.waitedForWorkerSeconds.add(0.001, { rank: String(rank) });
    server.readStaleness.observe(rank, { rank: String(rank) });
    server.waitingForWorker.set(rank, { rank: String(rank) });
  }
  server.runInfo.set(1, info);
  server.steps.add(1, { outcome: 'applied' });
  server.loss.set(2 / step, { run, split: 'train' });
  server.learningRate.set(1e-3, { run });
  server.readStalenessMax.set(1, { run });
  server.stalenessBound.set(3, { run });
  server.residentRows.set(5000, { table: 'words' });
  server.residentRowBytes.set(2 ** 20, { table: 'words' });
  server.inFlightBytes.set(1000);
  server.snapshots.add(1, { outcome: 'whole' });
  server.snapshotSeconds.observe(0.2);
  server.snapshotStep.set(step, { run });
  server.snapshotBytes.add(1000);
  server.snapshotCopiedBytes.set(1000);
  server.refusals.add(1, { code: 'STALE_VIEW' });
  server.blocksApplied.add(4);
  for (const phase of ['decode', 'aggregate', 'optimizer', 'encode', 'replicate'] as const) {
    server.applySeconds.add(0.001, { phase });
  }
  server.takeovers.add(0);
  server.divergences.add(0);
  for (const copy of ['primary', 'backup'] as const) server.shardCopies.set(1, { copy });
  for (const direction of ['sent', 'received'] as const)
    for (const what of ['updates', 'blocks'] as const) server.replicationBytes.add(4000, { direction, what });
  server.parameters.set(1e6);
  server.runs.set(1, { state: 'training' });
  server.viewNumber.set(1);
  server.viewMembers.set(1, { member: 'server' });
  server.viewMembers.set(2, { member: 'worker' });
}

prometheusTest('a real Prometheus returns data for every query, and the figures are right', async (t) => {
  t.timeout(120_000);
  const server = createMetrics('server');
  const workers = [createMetrics('worker'), createMetrics('worker')];
  const endpoints = await Promise.all(
    [server, ...workers].map(({ registry }) =>
      serveMetrics([registry], { host: '127.0.0.1', port: 0 }, () => ({ healthy: true })),
    ),
  );
  let step = 1;
  const training = setInterval(() => work(server, workers, step++), 20);
  t.teardown(() => clearInterval(training));
  for (const endpoint of endpoints) t.teardown(() => endpoint.close());
  const prometheus = await startPrometheus(endpoints.map(({ address }) => `${address.host}:${address.port}`));
  t.teardown(() => prometheus.stop());

  await prometheus.until('min(rate(gradloom_samples_total[5s]))', (series) => series[0]?.values[0][1] > 0);
  for (const { panel, expression } of queries) {
    const series = await prometheus.until(substitute(expression, '10s'), (found) => found.length > 0);
    for (const { values } of series) t.true(Number.isFinite(values[0][1]), `${panel}: ${expression}`);
  }
  const one = async (panel: string) => {
    const expression = queries.find((query) => query.panel === panel)?.expression ?? '';
    return (await prometheus.query(substitute(expression, '10s')))[0].values[0][1];
  };
  t.true(Math.abs((await one('Smaller than fp32')) - 2) < 1e-9);
  t.is(await one('Nodes'), 3);
  t.is(await one('Steps skipped'), 0);
  t.is(await one('Data cache'), 1);
  const rows = (panel: string) => {
    const expression = queries.find((query) => query.panel === panel)?.expression ?? '';
    return prometheus.query(substitute(expression, '10s'));
  };
  t.deepEqual((await rows('Rows'))[0].metric, { table: 'words' });
  const [resident] = await rows('Resident rows');
  t.is(resident.metric.table, 'words');
  t.is(resident.values[0][1], 5000);
  const refused = queries.find(({ panel }) => panel === 'Refusals')?.expression ?? '';
  const [{ metric }] = await prometheus.query(substitute(refused, '10s'));
  t.deepEqual(metric, { code: 'STALE_VIEW' });
  const [none] = await prometheus.query(substitute(refused, '10s', '.*', 'nowhere:1'));
  t.deepEqual([none.metric, none.values[0][1]], [{ code: 'none' }, 0]);
  t.deepEqual(await prometheus.query(substitute(queries[0].expression, '10s', '.*', 'nowhere:1')), []);
});
