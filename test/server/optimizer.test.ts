// What a shard's optimizer does with regularization, clipping, schedule and groups: against float64.
import test from 'ava';
import { ruleOf } from '../../shared/optimizer/groups.js';
import { learningRateAt } from '../../shared/optimizer/schedule.js';
import { OPTIMIZERS, type OptimizerSpec, optimizerSpec } from '../../shared/optimizer/spec.js';
import { layoutOf } from '../../shared/run/spec.js';
import { bulkOf, finiteHeader, makeShards, makeSpec, normals, valuesOf } from '../helpers/shards.js';

const STEPS = 12;
const SAMPLES = 4;

type Alone = Exclude<OptimizerSpec, { kind: 'lamb' }>;

/** One element's rules in float64, written from the papers: slots are those of the element. */
function exactly(optimizer: Alone, name: string): (p: number, g: number, step: number) => number {
  const { l1, l2, weightDecay, learningRateScale } = ruleOf(optimizer, name);
  let a = optimizer.kind === 'adagrad' ? optimizer.initialAccumulator : 0;
  let b = 0;
  return (p, mean, step) => {
    const clip = optimizer.clipValue ?? Number.POSITIVE_INFINITY;
    const g = Math.max(-clip, Math.min(clip, mean)) + l1 * Math.sign(p) + 2 * l2 * p;
    const rate = learningRateScale * learningRateAt(optimizer.schedule, optimizer.learningRate, step);
    switch (optimizer.kind) {
      case 'sgd':
        return p - rate * g;
      case 'momentum':
        a = optimizer.momentum * a + g;
        return p - rate * a;
      case 'adagrad':
        a += g * g;
        return p - (rate * g) / Math.sqrt(a + optimizer.epsilon);
      case 'rmsprop':
        a = optimizer.decay * a + (1 - optimizer.decay) * g * g;
        return p - (rate * g) / Math.sqrt(a + optimizer.epsilon);
      case 'lion': {
        const direction = Math.sign(optimizer.beta1 * a + (1 - optimizer.beta1) * g);
        a = optimizer.beta2 * a + (1 - optimizer.beta2) * g;
        return p - rate * (direction + weightDecay * p);
      }
      case 'adam':
      case 'adamw': {
        const { beta1, beta2, epsilon } = optimizer;
        a = beta1 * a + (1 - beta1) * g;
        b = beta2 * b + (1 - beta2) * g * g;
        const t = step + 1;
        const change = a / (1 - beta1 ** t) / (Math.sqrt(b / (1 - beta2 ** t)) + epsilon);
        return p - rate * (change + (optimizer.kind === 'adamw' ? weightDecay * p : 0));
      }
    }
  };
}

const rules = {
  l1: 0.01,
  l2: 0.02,
  clipValue: 0.7,
  schedule: { kind: 'polynomial', warmupSteps: 3, decaySteps: 6, decayEnd: 0.1, decayPower: 2 },
  groups: [
    { match: '*/bias', l1: 0, l2: 0 },
    { match: 'out/*', learningRateScale: 0.25 },
  ],
} as const;

// What waits for norms of the whole gradient is in whole-gradient.test.ts.
for (const kind of OPTIMIZERS.filter((each) => each !== 'lamb'))
  for (const [title, added] of [
    ['alone', {}],
    ['with rules of every kind', rules],
  ] as const)
    test(`${kind} ${title} does on a shard what float64 does`, (t) => {
      const optimizer = { ...optimizerSpec(kind, 0.05), ...added } as Alone;
      const spec = makeSpec({ codec: 'fp32', workers: 1, optimizer });
      const { shards } = makeShards(spec, 1);
      const { blocks } = layoutOf(spec);
      const trained = blocks.filter((block) => block.kind === 'trainable');
      const exact = trained.map(({ index, tensor }) => ({
        index,
        elements: Array.from(valuesOf(shards[0], index), (value) => ({
          value,
          step: exactly(optimizer, spec.tensors[tensor].name),
        })),
      }));
      for (let step = 0; step < STEPS; step++) {
        shards[0].header(0, step, { ...finiteHeader, samples: SAMPLES });
        for (const block of blocks.filter((each) => each.kind !== 'frozen')) {
          const gradient = normals(block.elements, 'gradient', step, block.index);
          shards[0].contribution(0, bulkOf(step, block.index, 'fp32', gradient));
          const state = exact.find(({ index }) => index === block.index);
          for (const [i, element] of state?.elements.entries() ?? [])
            element.value = element.step(element.value, gradient[i], step);
        }
      }
      for (const { index, elements } of exact) {
        const ours = valuesOf(shards[0], index);
        for (const [i, { value }] of elements.entries())
          t.true(Math.abs(ours[i] - value) < 5e-6, `block ${index}, element ${i}: ${ours[i]}, ${value}`);
      }
    });

test('a schedule goes by the step of the run, which a skipped step advances, and Adam by the updates', (t) => {
  const schedule = { kind: 'step', warmupSteps: 0, decaySteps: 1, decayRate: 0.5 } as const;
  const spec = makeSpec({
    tensors: [{ name: 'w', shape: [1], kind: 'trainable' }],
    codec: 'fp32',
    workers: 1,
    optimizer: { ...optimizerSpec('adam', 0.5), schedule },
  });
  const { shards } = makeShards(spec, 1);
  const before = valuesOf(shards[0], 0)[0];
  shards[0].header(0, 0, { ...finiteHeader, allFinite: false });
  shards[0].header(0, 1, finiteHeader);
  shards[0].contribution(0, bulkOf(1, 0, 'fp32', Float32Array.of(3)));
  // The first step of Adam is the learning rate in the gradient's direction, whatever the gradient's size.
  t.true(Math.abs(before - valuesOf(shards[0], 0)[0] - 0.25) < 1e-6);
});
