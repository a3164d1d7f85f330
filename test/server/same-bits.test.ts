// The promise of the same bits: whatever the number of servers, the placement, the order of messages and what is
// sent twice. And that these bits are the right ones: against float64, and against TensorFlow.js's own Adam.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import fc from 'fast-check';
import type { BlockNorms } from '../../server/effects.js';
import { OPTIMIZERS, type OptimizerSpec, optimizerSpec } from '../../shared/optimizer/spec.js';
import { keyedRandom } from '../../shared/random.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import {
  bitsOfAll,
  bulkOf,
  gradientOf,
  headerOf,
  makeShards,
  makeSpec,
  type ShardSet,
  valuesOf,
} from '../helpers/shards.js';
import {
  type Bad,
  deliver,
  type Message,
  messagesOf,
  normsIn,
  STEPS,
  trainInOrder,
} from '../helpers/training.js';

/** Trains with messages mixed: each (worker, server) has a stream that stays in order, so has each pair of servers. */
function trainMixed(
  spec: RunSpec,
  servers: number,
  seed: number,
  duplicates: boolean,
  { skippedStep }: Bad = {},
): ShardSet {
  const set = makeShards(spec, servers);
  const random = keyedRandom(seed, 'order');
  const streams = Array.from({ length: spec.workers * servers }, (_, index) => ({
    worker: Math.floor(index / servers),
    server: index % servers,
    queue: [] as Message[],
  }));
  const norms = Array.from({ length: servers * servers }, (_, index) => ({
    from: Math.floor(index / servers),
    to: index % servers,
    queue: [] as BlockNorms[],
  })).filter(({ from, to }) => from !== to);
  const tell = (server: number, told: readonly BlockNorms[]) => {
    for (const { from, queue } of norms)
      if (from === server) for (const each of told) queue.push(...(duplicates ? [each, each] : [each]));
  };
  for (let step = 0; step < STEPS; step++) {
    for (const { worker, server, queue } of streams) {
      const header = { ...headerOf(step, worker), allFinite: !(worker === 0 && step === skippedStep) };
      for (const message of messagesOf(spec, set, worker, server, step, header)) {
        queue.push(message);
        // A message sent again comes later in its stream, often after its step has been decided.
        if (duplicates && random.below(3) === 0)
          queue.splice(queue.indexOf(message) + 1 + random.below(2), 0, message);
      }
    }
    // A step is left when it is decided everywhere; what is still queued is what was sent twice, or was skipped.
    while (set.shards.some((shard) => shard.step === step)) {
      const full = streams.filter(({ queue }) => queue.length > 0);
      const told = norms.filter(({ queue }) => queue.length > 0);
      const next = random.below(full.length + told.length);
      if (next < full.length) {
        const { worker, server, queue } = full[next];
        tell(server, normsIn(deliver(set.shards[server], worker, queue.shift() as Message)));
      } else {
        const { to, queue } = told[next - full.length];
        tell(to, normsIn(set.shards[to].norms(queue.shift() as BlockNorms)));
      }
    }
  }
  for (const { worker, server, queue } of streams)
    for (const message of queue) deliver(set.shards[server], worker, message);
  return set;
}

const anyRun = fc.record({
  servers: fc.integer({ min: 1, max: 3 }),
  workers: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(),
  duplicates: fc.boolean(),
});

for (const codec of ['fp32', 'fp16', 'bf16'] as const)
  for (const kind of OPTIMIZERS)
    test(`${kind} over ${codec} gives the same bits in every order, on 1 to 3 servers, with messages sent twice`, (t) => {
      const expected = new Map<number, Uint32Array>();
      fc.assert(
        fc.property(anyRun, ({ servers, workers, seed, duplicates }) => {
          const spec = makeSpec({ codec, optimizer: optimizerSpec(kind, 1e-2), workers });
          const bits = expected.get(workers) ?? bitsOfAll(trainInOrder(spec, 1));
          expected.set(workers, bits);
          t.deepEqual(bitsOfAll(trainMixed(spec, servers, seed, duplicates)), bits);
        }),
        { seed: 20_261, numRuns: 12 },
      );
    });

for (const codec of ['int8', 'topk', 'sign'] as const)
  test(`momentum over ${codec} gives the same bits in every order, on 1 to 3 servers, with messages sent twice`, (t) => {
    const tensors = [
      { name: 'kernel', shape: [30, 40], kind: 'trainable' },
      { name: 'bias', shape: [30], kind: 'trainable' },
      { name: 'mean', shape: [1100], kind: 'state' },
    ] as const;
    const spec = makeSpec({ tensors, codec, optimizer: optimizerSpec('momentum', 1e-2), workers: 3 });
    const expected = bitsOfAll(trainInOrder(spec, 1));
    t.notDeepEqual(expected, bitsOfAll(trainInOrder({ ...spec, codec: 'fp32' }, 1)));
    fc.assert(
      fc.property(anyRun, ({ servers, seed, duplicates }) => {
        t.deepEqual(bitsOfAll(trainMixed(spec, servers, seed, duplicates)), expected);
      }),
      { seed: 20_263, numRuns: 4 },
    );
  });

const withRules: OptimizerSpec[] = [
  { ...optimizerSpec('rmsprop', 1e-2), momentum: 0.9, centered: true } as OptimizerSpec,
  {
    ...optimizerSpec('adamw', 1e-2),
    l1: 1e-3,
    l2: 1e-2,
    clipValue: 0.5,
    schedule: { kind: 'cosine', warmupSteps: 2, decaySteps: 5, decayEnd: 0 },
    groups: [
      { match: '*/bias', weightDecay: 0 },
      { match: 'out/*', learningRateScale: 0.1 },
    ],
  },
];
withRules.push(
  { ...withRules[1], clipNorm: 0.05 } as OptimizerSpec,
  { ...withRules[1], kind: 'lamb', epsilon: 1e-6, clipNorm: 0.05 } as OptimizerSpec,
);
for (const optimizer of withRules)
  test(`${optimizer.kind} with rules of every kind${optimizer.clipNorm ? ' and a norm to clip at' : ''} gives the same bits in every order`, (t) => {
    const spec = makeSpec({ optimizer, workers: 3 });
    const expected = bitsOfAll(trainInOrder(spec, 1));
    t.notDeepEqual(
      expected,
      bitsOfAll(trainInOrder(makeSpec({ optimizer: optimizerSpec(optimizer.kind, 1e-2), workers: 3 }), 1)),
    );
    fc.assert(
      fc.property(anyRun, ({ servers, seed, duplicates }) => {
        t.deepEqual(bitsOfAll(trainMixed(spec, servers, seed, duplicates)), expected);
      }),
      { seed: 20_263, numRuns: 12 },
    );
  });

test('a step that is skipped gives the same bits in every order', (t) => {
  const spec = makeSpec({ workers: 3 });
  const expected = bitsOfAll(trainInOrder(spec, 1, { skippedStep: 1 }));
  t.notDeepEqual(expected, bitsOfAll(trainInOrder(spec, 1)));
  fc.assert(
    fc.property(anyRun, ({ servers, seed, duplicates }) => {
      t.deepEqual(bitsOfAll(trainMixed(spec, servers, seed, duplicates, { skippedStep: 1 })), expected);
    }),
    { seed: 20_262, numRuns: 20 },
  );
});

test('a tensor of several blocks gives the same bits on one server and on three', (t) => {
  const spec = makeSpec({
    tensors: [
      { name: 'large', shape: [600_000], kind: 'trainable' },
      { name: 'small', shape: [3], kind: 'trainable' },
    ],
  });
  const expected = bitsOfAll(trainInOrder(spec, 1));
  t.deepEqual(bitsOfAll(trainInOrder(spec, 3)), expected);
  t.deepEqual(bitsOfAll(trainMixed(spec, 3, 5, true)), expected);
});

test('a frozen block keeps its initial values', (t) => {
  const spec = makeSpec();
  const [frozen] = layoutOf(spec).blocks.filter(({ kind }) => kind === 'frozen');
  const before = makeShards(spec, 1);
  const after = trainInOrder(spec, 1);
  t.deepEqual(valuesOf(after.shards[0], frozen.index), valuesOf(before.shards[0], frozen.index));
});

test('gradients and state are the means over all samples, as float64 has them', (t) => {
  const spec = makeSpec({ codec: 'fp32', optimizer: optimizerSpec('sgd', 1), workers: 3 });
  const set = makeShards(spec, 2);
  const { blocks } = layoutOf(spec);
  const before = blocks.map(({ index }) => valuesOf(set.shards[set.owners[index]], index));
  const headers = [0, 1, 2].map((worker) => headerOf(0, worker));
  for (const [worker, header] of headers.entries())
    for (const [server, shard] of set.shards.entries())
      for (const message of messagesOf(spec, set, worker, server, 0, header)) deliver(shard, worker, message);
  const samples = headers.reduce((sum, header) => sum + header.samples, 0);
  for (const { index, kind } of blocks) {
    const values = valuesOf(set.shards[set.owners[index]], index);
    const shares = headers.map((_, worker) => gradientOf(spec, 0, worker, index));
    for (const [i, value] of values.entries()) {
      const terms = shares.map((share, worker) => (share[i] * headers[worker].samples) / samples);
      const mean = terms.reduce((sum, term) => sum + term, 0);
      const exact = kind === 'state' ? mean : before[index][i] - (kind === 'trainable' ? mean : 0);
      // Each product, each sum and the update are rounded once.
      const size = terms.reduce((sum, term) => sum + Math.abs(term), Math.abs(before[index][i]));
      t.true(Math.abs(value - exact) <= 8 * 2 ** -24 * size, `${kind} block ${index}, element ${i}`);
    }
  }
});

test("five steps of Adam on a shard are those of TensorFlow.js's AdamOptimizer", async (t) => {
  await tf.setBackend('cpu');
  const spec = makeSpec({
    tensors: [{ name: 'w', shape: [40], kind: 'trainable' }],
    codec: 'fp32',
    optimizer: optimizerSpec('adam', 0.05),
  });
  const { shards } = makeShards(spec, 1);
  const tensors = tf.memory().numTensors;
  const variable = tf.tidy(() => tf.variable(tf.tensor1d(valuesOf(shards[0], 0)), true, 'w'));
  const optimizer = tf.train.adam(0.05, 0.9, 0.999, 1e-7);
  const samples = [3, 5];
  for (let step = 0; step < 5; step++) {
    const gradients = samples.map((_, worker) => gradientOf(spec, step, worker, 0));
    for (const [worker, count] of samples.entries()) {
      shards[0].header(worker, step, { ...headerOf(step, worker), samples: count, lossScale: 1 });
      shards[0].contribution(worker, bulkOf(step, 0, 'fp32', gradients[worker]));
    }
    const mean = gradients[0].map((x, i) => (3 * x + 5 * gradients[1][i]) / 8);
    tf.tidy(() => optimizer.applyGradients([{ name: 'w', tensor: tf.tensor1d(mean) }]));
    const ours = valuesOf(shards[0], 0);
    // TensorFlow.js keeps β2^t in fp32: 1 - β2^t is off by up to 6e-5 of itself, and so is each step of 0.05.
    for (const [i, theirs] of variable.dataSync().entries())
      t.true(Math.abs(ours[i] - theirs) <= 1e-4 * 0.05 * (step + 1), `step ${step}, element ${i}`);
  }
  optimizer.dispose();
  variable.dispose();
  t.is(tf.memory().numTensors, tensors);
});
