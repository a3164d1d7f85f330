// Thousands of random interleavings of workers, servers and messages: no read is staler than the bound, every
// contribution is applied once, nobody waits for ever, and every clock reaches the end. On the policy with a memory
// of plain arrays, and on whole shards.
import test from 'ava';
import fc from 'fast-check';
import { Clocked } from '../../server/consistency/clocked.js';
import { Shard } from '../../server/shard.js';
import type { Block } from '../../shared/blocks/blocks.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { keyedRandom } from '../../shared/random.js';
import { layoutOf } from '../../shared/run/spec.js';
import { type Report, type SimulatedServer, simulate } from '../helpers/clocked-simulation.js';
import { bulkOf, makeSpec } from '../helpers/shards.js';

interface Case {
  workers: number;
  servers: number;
  blocks: number;
  steps: number;
  staleness: number;
  speeds: number[];
  seed: number;
  skipOneIn: number;
  duplicates: number;
}

const anyCase: fc.Arbitrary<Case> = fc.record({
  workers: fc.integer({ min: 1, max: 5 }),
  servers: fc.integer({ min: 1, max: 3 }),
  blocks: fc.integer({ min: 1, max: 5 }),
  steps: fc.integer({ min: 1, max: 8 }),
  staleness: fc.constantFrom(0, 1, 2, 3, 5, Number.POSITIVE_INFINITY),
  // From alike to a thousand times slower.
  speeds: fc.array(fc.constantFrom(1, 0.3, 0.03, 0.001), { minLength: 5, maxLength: 5 }),
  seed: fc.nat(),
  skipOneIn: fc.constantFrom(0, 0, 4, 2, 1),
  duplicates: fc.constantFrom(0, 0, 3),
});

type Build = (owned: readonly number[], each: Case) => SimulatedServer;

function run(build: Build, each: Case): Report {
  const { servers, blocks, workers, steps, staleness, speeds, seed, skipOneIn, duplicates } = each;
  const owned = Array.from({ length: servers }, (_, server) =>
    Array.from({ length: blocks }, (_, block) => block).filter((block) => block % servers === server),
  );
  return simulate(
    owned.map((own) => build(own, each)),
    {
      ...{ workers, steps, staleness, speeds, duplicates },
      skips: (worker, step) =>
        skipOneIn > 0 && keyedRandom(seed, 'skip', worker, step).below(skipOneIn) === 0,
    },
    keyedRandom(seed, 'schedule'),
  );
}

/** The policy over arrays: an update takes 1 from the contributing worker's element. */
const plain: Build = (owned, { workers, staleness }) => {
  const memory = new Map(owned.map((block) => [block, { values: new Array(workers).fill(0), version: 0 }]));
  let contributing = 0;
  const work = {
    workers,
    backupWorkers: 0,
    leads: true,
    blocks: owned.map(
      (index): Block => ({ index, tensor: index, start: 0, elements: workers, kind: 'trainable' }),
    ),
    receive: () => 0,
    restage: () => 0,
    sum: () => undefined,
    apply(block: number) {
      const state = memory.get(block) as { values: number[]; version: number };
      state.values[contributing]--;
      state.version++;
    },
    measure: () => [],
  };
  const clocked = new Clocked(work, { staleness, globalBatch: 0 });
  return {
    blocks: owned,
    header: (worker, step, header) => clocked.header(worker, step, header),
    contribution(worker, step, block) {
      contributing = worker;
      return clocked.contribution(worker, { step, block, payload: Buffer.alloc(4) } as never);
    },
    read(block) {
      const { values, version } = memory.get(block) as { values: number[]; version: number };
      return { values, version, clockMin: clocked.clocksOf(block).min };
    },
  };
};

/** A shard: plain descent at rate 1 on one-hot gradients, in which small integers are exact. */
const whole: Build = (owned, { workers, staleness, blocks }) => {
  const spec = makeSpec({
    tensors: Array.from({ length: blocks }, (_, i) => ({
      name: `t${i}`,
      shape: [workers],
      kind: 'trainable',
    })),
    optimizer: optimizerSpec('sgd', 1),
    codec: 'fp32',
    globalBatch: 0,
    workers,
    ...(Number.isFinite(staleness) ? { consistency: 'ssp', staleness } : { consistency: 'asp' }),
  });
  const shard = new Shard(spec, layoutOf(spec), owned);
  for (const block of owned) shard.initial(0, bulkOf(0, block, 'fp32', new Float32Array(workers)));
  return {
    blocks: owned,
    header: (worker, step, header) => shard.header(worker, step, header),
    contribution: (worker, step, block) =>
      shard.contribution(
        worker,
        bulkOf(
          step,
          block,
          'fp32',
          Float32Array.from({ length: workers }, (_, i) => (i === worker ? 1 : 0)),
        ),
      ),
    read(block) {
      const { payload, clockMin = -1, version } = shard.encode(block, 'fp32');
      return { values: [...new Float32Array(payload.slice().buffer)], clockMin, version };
    },
  };
};

for (const [title, build, numRuns] of [
  ['4,000 schedules of the policy', plain, 4_000],
  ['150 schedules of whole shards', whole, 150],
] as const)
  test(`${title}: reads within the bound, updates once, every clock at the end`, (t) => {
    const stalest = new Map<number, number>();
    fc.assert(
      fc.property(anyCase, (each) => {
        const report = run(build, each);
        t.deepEqual(report.faults, []);
        t.deepEqual(report.clocks, new Array(each.workers).fill(each.steps));
        stalest.set(each.staleness, Math.max(stalest.get(each.staleness) ?? 0, report.stalest));
      }),
      { seed: 20_271, numRuns },
    );
    // The bound is not only kept, it is reached: schedules are as wild as they claim to be.
    for (const bound of [0, 1, 2, 3]) t.is(stalest.get(bound), bound);
    t.true((stalest.get(Number.POSITIVE_INFINITY) ?? 0) > 3);
  });

test('a policy that lets go one step too early is found', (t) => {
  const lax: Build = (owned, each) => plain(owned, { ...each, staleness: each.staleness + 1 });
  const seeds = Array.from({ length: 50 }, (_, seed) => seed);
  const found = seeds.filter((seed) => {
    const each: Case = {
      workers: 3,
      servers: 2,
      blocks: 3,
      steps: 6,
      staleness: 1,
      speeds: [1, 1, 0.01, 1, 1],
      seed,
      skipOneIn: 0,
      duplicates: 0,
    };
    return run(lax, each).faults.length > 0;
  });
  t.true(found.length > 25, `${found.length} of ${seeds.length}`);
});
