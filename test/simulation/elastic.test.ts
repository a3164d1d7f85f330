// A worker dies at any point of any step, in hundreds of clusters of real servers and clients over a simulated network:
// the others go on; its half-sent step is complete on all servers or dropped on all; everybody has the same bits, which
// are those of the gradients that count, computed apart from the code in double precision.
import test, { type ExecutionContext } from 'ava';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { keyedRandom } from '../../shared/random.js';
import type { Bug } from './cluster/bugs.js';
import { Cluster } from './cluster/cluster.js';
import { gradientOf, LEARNING_RATE, samplesOf } from './cluster/workload.js';

const MOMENTUM = 0.9;
const TOLERANCE = 1e-4;
const UNTIL_MS = 600_000;

/** Parameters after so many steps: the departed counts in the steps before its view's. */
function expected(cluster: Cluster, steps: number): number[] {
  const ranks = cluster.workers.map((_, rank) => rank);
  return cluster.spec.tensors.map((_, tensor) => {
    let value = 0;
    let velocity = 0;
    for (let step = 0; step < steps; step++) {
      const there = ranks.filter((rank) => step < (cluster.departures.get(rank) ?? Number.POSITIVE_INFINITY));
      const samples = there.reduce((sum, rank) => sum + samplesOf(rank), 0);
      const gradient = there.reduce((sum, rank) => sum + samplesOf(rank) * gradientOf(rank, step, tensor), 0);
      velocity = MOMENTUM * velocity + gradient / samples;
      value -= LEARNING_RATE * velocity;
    }
    return value;
  });
}

/** Runs the cluster of a seed; whether somebody died while the run went on, and how it ended. */
async function dies(
  t: ExecutionContext,
  seed: number,
  bug?: Bug,
  /** Every shard has a copy, and a server dies about when the worker does. */
  copied = false,
): Promise<'went on' | 'ended' | 'no death'> {
  const random = keyedRandom(seed, copied ? 'elastic and copied' : 'elastic');
  const workers = 2 + random.below(3);
  const fast = random.below(2) === 0;
  const cluster = new Cluster({
    seed,
    servers: copied ? 3 + random.below(2) : 1 + random.below(4),
    ...(copied ? { replicas: 2 } : {}),
    workers,
    steps: 12 + random.below(12),
    codec: 'fp32',
    consistency: 'bsp',
    elastic: true,
    bug,
    optimizer: optimizerSpec('momentum', LEARNING_RATE),
    delays: fast
      ? { leastMs: 0.1, mostMs: 2, noticeMs: 1 }
      : { leastMs: 1, mostMs: 80, noticeMs: 50 + random.below(500) },
  });
  const victim = `worker-${random.below(workers)}`;
  const atMs = 450 + random.below(1200);
  cluster.scheduler.after(atMs, 'plan', () => {
    const history = cluster.workers.find(({ name }) => name === victim);
    if (!history?.end) cluster.crash(victim);
  });
  if (copied)
    cluster.scheduler.after(atMs - 200 + random.below(500), 'plan', () =>
      cluster.crash(`server-${1 + random.below(2)}`),
    );
  cluster.start();
  await cluster.scheduler.run(() => cluster.isOver, UNTIL_MS);
  const open = [...cluster.coordinator.runs.values()].map((run) => cluster.coordinator.waiting(run));
  const trace = `seed ${seed}\n${cluster.trace.join('\n')}\n${open.join('\n')}`;
  const others = cluster.workers.filter(
    ({ name }) => !cluster.trace.some((line) => line.endsWith(`${name} is killed`)),
  );
  for (const { name, end } of others) t.truthy(end, `${name} hangs: ${trace}`);
  if (others.length === workers) return 'no death';
  if (others.some(({ end }) => end?.failed)) {
    // Before the first step nobody may have parameters: then the run ends, and says whose death it was.
    const known = /worker \d+ \(worker-\d+\) is gone (at step 0:|before it had given)/;
    t.regex(trace, known);
    return 'ended';
  }
  const { steps } = { steps: cluster.spec.stepsPerEpoch };
  const seen = new Map<number, string>();
  for (const { name, reads } of others) {
    t.is(reads.size, steps + 1, `${name}: ${trace}`);
    for (const [step, { bits, values, skew }] of reads) {
      t.is(skew, 0, trace);
      t.is(seen.get(step) ?? bits, bits, `${name} at ${step}: ${trace}`);
      seen.set(step, bits);
      for (const [tensor, exact] of expected(cluster, step).entries())
        t.true(
          Math.abs(values[tensor] - exact) <= TOLERANCE,
          `${name} read ${values[tensor]}, not ${exact} at step ${step}: ${trace}`,
        );
    }
  }
  for (const [tensor, exact] of expected(cluster, steps).entries()) {
    const held = cluster.finals.get(tensor) ?? Number.NaN;
    // A server that dies when all is done has told nobody what it held.
    if (copied && Number.isNaN(held)) continue;
    t.true(Math.abs(held - exact) <= TOLERANCE, `held ${held}, not ${exact}: ${trace}`);
  }
  return cluster.departures.size > 0 ? 'went on' : 'no death';
}

test('whenever a worker dies, its last step counts on all servers or on none, and the others go on', async (t) => {
  t.timeout(300_000);
  const ends = { 'went on': 0, ended: 0, 'no death': 0 };
  let undone = 0;
  const counting: Bug = {
    hosted({ shard }) {
      const { change } = shard;
      shard.change = (next) => {
        const effects = change.call(shard, next);
        undone += effects.filter(({ kind }) => kind === 'undone').length;
        return effects;
      };
    },
  };
  for (let seed = 0; seed < 200; seed++) ends[await dies(t, seed, counting)]++;
  t.true(ends['went on'] > 60, JSON.stringify(ends));
  // Blocks that had been updated with a share of the one who died.
  t.true(undone > 5, `${undone} updates were taken back`);
});

test('the same when a server dies at about the same time, and its backup takes over', async (t) => {
  t.timeout(300_000);
  const ends = { 'went on': 0, ended: 0, 'no death': 0 };
  const first = Number(process.env.GRADLOOM_TEST_SEED ?? 0);
  for (let seed = first; seed < first + 50; seed++) ends[await dies(t, seed, undefined, true)]++;
  t.true(ends['went on'] > 15, JSON.stringify(ends));
});

test('a server that keeps the half-sent step of the one who died is found', async (t) => {
  t.timeout(300_000);
  const keeping: Bug = {
    hosted({ shard }) {
      const { fence } = shard;
      shard.fence = (worker) => ({ ...fence.call(shard, worker), complete: true });
    },
  };
  const found = await t.try(async (attempt) => {
    for (let seed = 0; seed < 60; seed++) await dies(attempt, seed, keeping);
  });
  const { passed } = found;
  found.discard();
  t.false(passed);
});
