// Local SGD by the workers' kernels and the servers' shards, against local SGD written down in float64.
import test, { type ExecutionContext } from 'ava';
import { type OptimizerSpec, optimizerSpec } from '../../../shared/optimizer/spec.js';
import { layoutOf, outerOptimizer, type RunSpec } from '../../../shared/run/spec.js';
import {
  gradientAt,
  type LocalRun,
  localWorker,
  runLocally,
  samplesOf,
  stateAt,
  targetOf,
} from '../../helpers/local-run.js';
import { bitsOfAll, bulkOf, makeShards, makeSpec, normals, valuesOf } from '../../helpers/shards.js';

/** Seven steps an epoch by rounds of three: the last round of each has one. */
function localSpec(inner: OptimizerSpec, changes: Partial<RunSpec> = {}): RunSpec {
  return makeSpec({
    codec: 'fp32',
    consistency: 'local',
    optimizer: outerOptimizer(),
    local: { steps: 3, optimizer: inner },
    epochs: 2,
    stepsPerEpoch: 7,
    ...changes,
  });
}

/** A copy of every block's state in float64, as an inner optimizer would keep it. */
class InnerOptimizer {
  readonly #first = new Map<number, Float64Array>();
  readonly #second = new Map<number, Float64Array>();
  t = 0;

  constructor(readonly spec: OptimizerSpec) {}

  step(block: number, values: Float64Array, gradient: Float64Array, rate: number): void {
    const slot = (map: Map<number, Float64Array>) => {
      const found = map.get(block) ?? new Float64Array(values.length);
      map.set(block, found);
      return found;
    };
    const { spec } = this;
    const first = slot(this.#first);
    const second = slot(this.#second);
    for (const [i, g] of gradient.entries()) {
      if (spec.kind === 'sgd') values[i] -= rate * g;
      else if (spec.kind === 'momentum') {
        first[i] = spec.momentum * first[i] + g;
        values[i] -= rate * first[i];
      } else if (spec.kind === 'adam') {
        first[i] = spec.beta1 * first[i] + (1 - spec.beta1) * g;
        second[i] = spec.beta2 * second[i] + (1 - spec.beta2) * g * g;
        const mean = first[i] / (1 - spec.beta1 ** this.t);
        const square = second[i] / (1 - spec.beta2 ** this.t);
        values[i] -= (rate * mean) / (Math.sqrt(square) + spec.epsilon);
      } else throw new Error(`no ${spec.kind} here`);
    }
  }
}

/** Local SGD as the papers have it, in float64; a worker's step for which `skips` says so changes nothing. */
function reference(
  spec: RunSpec,
  skips: (rank: number, step: number) => boolean = () => false,
  rateAt: (step: number, block: number) => number = () => spec.local?.optimizer.learningRate ?? Number.NaN,
  slopeAt: (value: number, block: number) => number = () => 0,
) {
  const { blocks } = layoutOf(spec);
  const inner = spec.local as NonNullable<RunSpec['local']>;
  const outer = spec.optimizer as { learningRate: number; momentum?: number };
  const momentum = outer.momentum ?? 0;
  const global = blocks.map(({ index, elements }) =>
    Float64Array.from(normals(elements, 'initial', spec.seed, index)),
  );
  const velocity = global.map(({ length }) => new Float64Array(length));
  const optimizers = Array.from({ length: spec.workers }, () => new InnerOptimizer(inner.optimizer));
  for (let epoch = 0; epoch < spec.epochs; epoch++) {
    for (let start = 0; start < spec.stepsPerEpoch; start += inner.steps) {
      const length = Math.min(inner.steps, spec.stepsPerEpoch - start);
      const replicas = optimizers.map((optimizer, rank) => {
        const own = global.map((values) => values.slice());
        let samples = 0;
        for (let i = 0; i < length; i++) {
          const step = epoch * spec.stepsPerEpoch + start + i;
          if (skips(rank, step)) continue;
          samples += samplesOf(rank, step);
          optimizer.t++;
          for (const { index, elements, kind } of blocks) {
            const target = targetOf(rank, step, index, elements);
            if (kind === 'state') own[index].set(own[index].map((x, e) => stateAt(x, target[e])));
            if (kind === 'trainable')
              optimizer.step(
                index,
                own[index],
                own[index].map((x, e) => gradientAt(x, target[e], e) + slopeAt(x, index)),
                rateAt(step, index),
              );
          }
        }
        return { own, samples };
      });
      const total = replicas.reduce((sum, { samples }) => sum + samples, 0);
      for (const { index, kind } of blocks)
        for (const e of global[index].keys()) {
          const mean = replicas.reduce((sum, { own, samples }) => sum + (samples / total) * own[index][e], 0);
          if (kind === 'state') global[index][e] = mean;
          if (kind !== 'trainable') continue;
          const difference = global[index][e] - mean;
          velocity[index][e] = momentum * velocity[index][e] + difference;
          global[index][e] -= outer.learningRate * (difference + momentum * velocity[index][e]);
        }
    }
  }
  return global;
}

function isClose(t: ExecutionContext, { set }: LocalRun, expected: readonly Float64Array[], most: number) {
  for (const [block, values] of expected.entries())
    for (const [i, ours] of valuesOf(set.shards[set.owners[block]], block).entries())
      t.true(
        Math.abs(ours - values[i]) <= most * (1 + Math.abs(values[i])),
        `block ${block}[${i}]: ${ours}, float64 ${values[i]}`,
      );
}

for (const inner of [
  optimizerSpec('sgd', 0.05),
  optimizerSpec('momentum', 0.02),
  optimizerSpec('adam', 0.05),
])
  test(`two workers with ${inner.kind} and an outer Nesterov momentum are those of float64`, (t) => {
    const spec = localSpec(inner);
    const run = runLocally(spec, 2);
    t.deepEqual(run.skippedRounds, []);
    isClose(t, run, reference(spec), 1e-5);
    // The measure can fail: one step more or less in a round is far away.
    const other = reference({ ...spec, local: { steps: 2, optimizer: inner } });
    const [ours] = valuesOf(run.set.shards[run.set.owners[0]], 0);
    t.true(Math.abs(ours - other[0][0]) > 1e-3);
  });

test('rounds of one step of sgd with an outer rate of 1 are plain bsp', (t) => {
  const spec = localSpec(optimizerSpec('sgd', 0.05), {
    local: { steps: 1, optimizer: optimizerSpec('sgd', 0.05) },
    optimizer: outerOptimizer(1, 0),
  });
  const local = runLocally(spec, 2);
  const bsp: RunSpec = {
    ...makeSpec({ codec: 'fp32', optimizer: optimizerSpec('sgd', 0.05) }),
    local: undefined,
  };
  const set = makeShards(bsp, 2);
  const workers = [0, 1].map((rank) => localWorker(bsp, rank));
  for (let step = 0; step < spec.epochs * spec.stepsPerEpoch; step++) {
    for (const [rank, worker] of workers.entries()) {
      worker.receive(set);
      worker.compute(step);
      for (const shard of set.shards)
        shard.header(rank, step, {
          ...{ samples: samplesOf(rank, step), allFinite: true, lossScale: 1, lossSum: 1, correct: 1 },
        });
    }
    for (const [rank, worker] of workers.entries())
      for (const { index, kind } of layoutOf(bsp).blocks)
        if (kind !== 'frozen')
          set.shards[set.owners[index]].contribution(
            rank,
            bulkOf(step, index, 'fp32', worker.block('gradients', index)),
          );
  }
  for (const { index } of layoutOf(bsp).blocks) {
    const ours = valuesOf(local.set.shards[local.set.owners[index]], index);
    for (const [i, value] of valuesOf(set.shards[set.owners[index]], index).entries())
      t.true(
        Math.abs(ours[i] - value) <= 1e-5 * (1 + Math.abs(value)),
        `block ${index}[${i}]: ${ours[i]}, bsp ${value}`,
      );
  }
});

for (const codec of ['fp32', 'fp16'] as const)
  test(`one, two and three servers give the same bits over ${codec}`, (t) => {
    const spec = localSpec(optimizerSpec('adam', 0.05), { codec, workers: 3 });
    const bits = bitsOfAll(runLocally(spec, 1).set);
    t.deepEqual(bitsOfAll(runLocally(spec, 2).set), bits);
    t.deepEqual(bitsOfAll(runLocally(spec, 3).set), bits);
  });

for (const [what, spoil] of [
  ['gradient', 0],
  ['state', 2],
] as const)
  test(`a ${what} that is not finite skips the step of that worker alone, and its samples`, (t) => {
    const spec = localSpec(optimizerSpec('adam', 0.05));
    const skips = (rank: number, step: number) => rank === 1 && (step === 1 || step === 5);
    const run = runLocally(spec, 2, (worker, rank, step) => {
      if (skips(rank, step)) worker.block('gradients', spoil)[3] = Number.NaN;
    });
    t.deepEqual(run.skippedRounds, []);
    isClose(t, run, reference(spec, skips), 1e-5);
  });

test('schedule, groups and l2 are those of the steps on each worker, skipped ones counted', (t) => {
  const spec = localSpec({
    ...optimizerSpec('adam', 0.05),
    l2: 0.1,
    schedule: { kind: 'step', warmupSteps: 4, decaySteps: 3, decayRate: 0.5 },
    groups: [
      { match: 'dense/*', learningRateScale: 0.5 },
      { match: 'scale', l2: 0 },
    ],
  });
  const { tensors, blocks } = layoutOf(spec);
  const nameOf = (block: number) => tensors[blocks[block].tensor].name;
  const rateAt = (step: number, block: number) =>
    0.05 *
    (nameOf(block).startsWith('dense/') ? 0.5 : 1) *
    (step < 4 ? (step + 1) / 4 : 0.5 ** Math.floor((step - 4) / 3));
  const slopeAt = (value: number, block: number) => (nameOf(block) === 'scale' ? 0 : 2 * 0.1 * value);
  const skips = (rank: number, step: number) => rank === 1 && (step === 1 || step === 5);
  const run = runLocally(spec, 2, (worker, rank, step) => {
    if (skips(rank, step)) worker.block('gradients', 0)[3] = Number.NaN;
  });
  isClose(t, run, reference(spec, skips, rateAt, slopeAt), 1e-5);
  // The measure can fail: a schedule that is one step late is far away.
  const [late] = reference(spec, skips, (step, block) => rateAt(Math.max(0, step - 1), block), slopeAt);
  t.true(Math.abs(valuesOf(run.set.shards[run.set.owners[0]], 0)[0] - late[0]) > 1e-4);
});

test('a loss that is not finite skips the step, and what was skipped is counted', (t) => {
  const worker = localWorker(localSpec(optimizerSpec('sgd', 0.05)), 0);
  worker.local.begin();
  worker.compute(0);
  t.true(worker.local.step({ samples: 4, lossSum: 2, correct: 1 }));
  const before = worker.block('parameters', 0).slice();
  worker.compute(1);
  t.false(worker.local.step({ samples: 8, lossSum: Number.NaN, correct: 3 }));
  t.deepEqual(worker.block('parameters', 0).slice(), before);
  t.deepEqual(worker.local.contribution(), {
    ...{ steps: 1, skipped: 1, samples: 4, lossSum: 2, correct: 1, usable: true },
  });
});

test('a worker that has skipped every step of a round skips the round everywhere', (t) => {
  const spec = localSpec(optimizerSpec('adam', 0.05));
  const spoiled = (rank: number, step: number) => rank === 1 && step >= 3 && step < 6;
  const run = runLocally(spec, 2, (worker, rank, step) => {
    if (spoiled(rank, step)) worker.block('gradients', 0)[0] = Number.POSITIVE_INFINITY;
  });
  t.deepEqual(run.skippedRounds, [1]);
  for (const { index } of layoutOf(spec).blocks)
    for (const { block } of run.workers)
      t.deepEqual(
        block('parameters', index).slice(),
        valuesOf(run.set.shards[run.set.owners[index]], index),
        `both hold block ${index} as the servers do`,
      );
  const worker = localWorker(spec, 1);
  worker.local.begin();
  worker.compute(0);
  worker.block('gradients', 0)[0] = Number.NaN;
  worker.local.step({ samples: 6, lossSum: 1, correct: 0 });
  t.like(worker.local.contribution(), { steps: 0, skipped: 1, samples: 6, usable: false });
});

test('a round whose difference is not finite changes nothing, and that worker begins anew', (t) => {
  const spec = localSpec(optimizerSpec('momentum', 0.05), { epochs: 1, stepsPerEpoch: 6 });
  let before: Float32Array | undefined;
  const run = runLocally(spec, 2, (worker, rank, step) => {
    if (rank === 1 && step === 0) before = worker.block('parameters', 0).slice();
    // Finite as gradients, infinite as what momentum makes of them.
    if (rank === 1 && step < 3) worker.block('gradients', 0).fill(3e38);
    if (rank === 1 && step === 3)
      t.deepEqual(worker.block('parameters', 0).slice(), before, 'the round is undone');
  });
  t.deepEqual(run.skippedRounds, [0]);
  for (const { index } of layoutOf(spec).blocks) {
    const values = valuesOf(run.set.shards[run.set.owners[index]], index);
    t.true(values.every(Number.isFinite), `block ${index}`);
    t.deepEqual(run.workers[1].block('parameters', index).slice(), values);
  }
});

test("under local a worker clips by the norm of its own gradient, and LAMB's trust is of its own tensors", (t) => {
  const length = (values: readonly number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
  const weightDecay = 0.1;
  for (const inner of [
    { ...optimizerSpec('sgd', 0.1), clipNorm: 0.5 },
    { ...optimizerSpec('lamb', 0.1), weightDecay, clipNorm: 0.5 } as OptimizerSpec,
  ]) {
    const spec = localSpec(inner);
    const worker = localWorker(spec, 0);
    const { blocks } = layoutOf(spec);
    const trained = blocks.filter(({ kind }) => kind === 'trainable');
    for (const { index, elements } of blocks)
      worker.block('parameters', index).set(normals(elements, 'p', index));
    worker.local.begin();
    worker.compute(0);
    const before = trained.map(({ index }) => [...worker.block('parameters', index)]);
    const gradients = trained.map(({ index }) => [...worker.block('gradients', index)]);
    t.true(worker.local.step({ samples: 4, lossSum: 1, correct: 1 }));
    const factor = 0.5 / length(gradients.flat());
    t.true(factor < 1);
    for (const [at, { index }] of trained.entries()) {
      // The first step of Adam's direction is g / (|g| + epsilon), whatever the betas.
      const epsilon = 'epsilon' in inner ? inner.epsilon : 0;
      const clipped = gradients[at].map((g) => factor * g);
      const direction =
        inner.kind === 'lamb'
          ? clipped.map((g, i) => g / (Math.abs(g) + epsilon) + weightDecay * before[at][i])
          : clipped;
      const trust = inner.kind === 'lamb' ? length(before[at]) / length(direction) : 1;
      for (const [i, value] of worker.block('parameters', index).entries()) {
        const exact = before[at][i] - 0.1 * trust * direction[i];
        t.true(
          Math.abs(value - exact) < 2e-5,
          `${inner.kind}, block ${index}, element ${i}: ${value}, ${exact}`,
        );
      }
    }
  }
});
