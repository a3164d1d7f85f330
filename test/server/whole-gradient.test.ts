// What waits for norms of the whole gradient, clipping and LAMB, on shards that exchange them: against float64, with
// blocks of one tensor on different servers. And that foreign or impossible norms are refused and change nothing.
import test from 'ava';
import fc from 'fast-check';
import type { BlockNorms } from '../../server/effects.js';
import { ruleOf } from '../../shared/optimizer/groups.js';
import type { OptimizerSpec } from '../../shared/optimizer/spec.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { layoutOf } from '../../shared/run/spec.js';
import {
  bulkOf,
  contributionOf,
  headerOf,
  makeShards,
  makeSpec,
  normals,
  stateOf,
  valuesOf,
} from '../helpers/shards.js';
import { normsIn, tellNorms } from '../helpers/training.js';

const STEPS = 3;
const SAMPLES = 4;

const tensors = [
  { name: 'large', shape: [600_000], kind: 'trainable' },
  { name: 'norm/moving_mean', shape: [11], kind: 'state' },
  { name: 'small/bias', shape: [30], kind: 'trainable' },
] as const;

const length = (values: Float64Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));

/** A step of the whole model in float64, written from the papers. */
function exactly(optimizer: OptimizerSpec) {
  const slots = new Map<string, { m: Float64Array; v: Float64Array }>();
  return (model: Map<string, Float64Array>, gradients: Map<string, Float64Array>, t: number) => {
    const { clipNorm = Number.POSITIVE_INFINITY, learningRate } = optimizer;
    const norm = Math.sqrt([...gradients.values()].reduce((sum, gradient) => sum + length(gradient) ** 2, 0));
    const factor = norm > clipNorm ? clipNorm / norm : 1;
    for (const [name, values] of model) {
      const { l2, weightDecay } = ruleOf(optimizer, name);
      const g = (gradients.get(name) as Float64Array).map((x, i) => factor * x + 2 * l2 * values[i]);
      if (optimizer.kind !== 'lamb') {
        for (const [i, x] of g.entries()) values[i] -= learningRate * x;
        continue;
      }
      const { beta1, beta2, epsilon } = optimizer;
      const zeros = () => new Float64Array(values.length);
      const { m, v } = slots.get(name) ?? { m: zeros(), v: zeros() };
      slots.set(name, { m, v });
      const direction = g.map((x, i) => {
        m[i] = beta1 * m[i] + (1 - beta1) * x;
        v[i] = beta2 * v[i] + (1 - beta2) * x * x;
        const adam = m[i] / (1 - beta1 ** t) / (Math.sqrt(v[i] / (1 - beta2 ** t)) + epsilon);
        return adam + weightDecay * values[i];
      });
      const trust = length(values) / length(direction);
      for (const [i, x] of direction.entries()) values[i] -= learningRate * trust * x;
    }
  };
}

const lamb = optimizerSpec('lamb', 0.02);
// Where g nearly vanishes, g / (|g| + epsilon) magnifies the rounding of g; hence the larger epsilon of the last.
const optimizers: [title: string, optimizer: OptimizerSpec][] = [
  ['clipping by global norm', { ...optimizerSpec('sgd', 0.5), clipNorm: 20 }],
  ['a norm that is not reached', { ...optimizerSpec('sgd', 0.1), clipNorm: 1e6, l2: 0.01 }],
  ['LAMB', { ...lamb, groups: [{ match: '*/bias', weightDecay: 0 }] }],
  ['LAMB with l2 on a clipped gradient', { ...lamb, clipNorm: 20, l2: 0.01, epsilon: 1e-4 } as OptimizerSpec],
];
for (const [title, optimizer] of optimizers)
  test(`${title} over three servers does what float64 does on the whole model`, (t) => {
    const spec = makeSpec({ tensors, codec: 'fp32', workers: 1, optimizer });
    const set = makeShards(spec, 3);
    const { blocks } = layoutOf(spec);
    const large = blocks.filter(({ tensor }) => tensor === 0);
    t.is(new Set(large.map(({ index }) => set.owners[index])).size, 3, 'one tensor on three servers');
    const model = new Map<string, Float64Array>();
    const collect = (
      into: Map<string, Float64Array>,
      of: (block: (typeof blocks)[number]) => Float32Array,
    ) => {
      for (const [index, { name, kind }] of tensors.entries())
        if (kind === 'trainable')
          into.set(
            name,
            Float64Array.from(
              blocks.filter(({ tensor }) => tensor === index).flatMap((block) => [...of(block)]),
            ),
          );
    };
    collect(model, ({ index }) => valuesOf(set.shards[set.owners[index]], index));
    const step = exactly(optimizer);
    for (let at = 0; at < STEPS; at++) {
      const gradientOf = ({ index, elements }: (typeof blocks)[number]) =>
        normals(elements, 'whole', at, index);
      const header = { ...headerOf(at, 0), samples: SAMPLES, lossScale: 1 };
      for (const [server, shard] of set.shards.entries()) tellNorms(set, server, shard.header(0, at, header));
      for (const block of blocks) {
        const server = set.owners[block.index];
        const bulk = bulkOf(at, block.index, 'fp32', gradientOf(block));
        tellNorms(set, server, set.shards[server].contribution(0, bulk));
      }
      for (const shard of set.shards) t.is(shard.step, at + 1);
      const gradients = new Map<string, Float64Array>();
      collect(gradients, gradientOf);
      step(model, gradients, at + 1);
    }
    const ours = new Map<string, Float64Array>();
    collect(ours, ({ index }) => valuesOf(set.shards[set.owners[index]], index));
    for (const [name, values] of model) {
      const found = ours.get(name) as Float64Array;
      const worst = values.reduce(
        (most, x, i) => Math.max(most, Math.abs(x - found[i]) / (1 + Math.abs(x))),
        0,
      );
      t.true(worst < 3e-6, `${name}: ${worst}`);
    }
  });

const clipped = makeSpec({ workers: 1, optimizer: { ...optimizerSpec('sgd', 0.1), clipNorm: 0.5 } });
const exchanged = layoutOf(clipped).blocks.filter(({ kind }) => kind !== 'frozen');

/** Two shards in step 1; the first has all of its contributions and waits for the norms of the second. */
function waitingShards() {
  const set = makeShards(clipped, 2);
  const give = (at: number, server: number) => {
    const effects = set.shards[server].header(0, at, headerOf(at, 0));
    for (const { index } of exchanged)
      if (set.owners[index] === server)
        effects.push(...set.shards[server].contribution(0, contributionOf(clipped, at, 0, index)));
    return effects;
  };
  for (const server of [0, 1]) tellNorms(set, server, give(0, server));
  const trainable = (server: number) =>
    exchanged.flatMap(({ index, kind }) =>
      kind === 'trainable' && set.owners[index] === server ? [index] : [],
    );
  return { set, give, first: give(1, 0), own: trainable(0), others: trainable(1) };
}

test('a server waits for the norms of others only when its own blocks are summed, and says of which blocks', (t) => {
  const { set, give, first, own, others } = waitingShards();
  const [told] = normsIn(first);
  t.deepEqual([told.step, told.round, [...told.blocks].sort()], [1, 0, own]);
  t.deepEqual(set.shards[0].missingNorms(), others);
  t.deepEqual(set.shards[0].waitingFor(), []);
  t.deepEqual(set.shards[1].missingNorms(), []);
  t.deepEqual(set.shards[1].waitingFor(), [0]);
  set.shards[1].norms(told);
  const effects = give(1, 1);
  t.is(set.shards[1].step, 2, 'whose norms came early are used when its own blocks are there');
  t.is(set.shards[0].step, 1);
  const done = set.shards[0].norms(normsIn(effects)[0]);
  t.is(set.shards[0].step, 2);
  t.deepEqual(set.shards[0].missingNorms(), []);
  t.deepEqual(
    done.filter(({ kind }) => kind === 'updated').map((effect) => (effect as { block: number }).block),
    own,
  );
});

const good = (blocks: readonly number[]): BlockNorms => ({
  step: 1,
  round: 0,
  blocks,
  squares: blocks.map(() => 1),
});
const refusals: [title: string, label: string, norms: (others: number[], own: number[]) => BlockNorms][] = [
  ['norms of a round that there is not', 'malformed', (others) => ({ ...good(others), round: 1 })],
  ['too few norms', 'malformed', (others) => ({ ...good(others), squares: [1] })],
  ['a norm below 0', 'malformed', (others) => ({ ...good(others), squares: others.map(() => -1) })],
  ['norms of a step ahead', 'step', (others) => ({ ...good(others), step: 2 })],
  ["norms of the server's own blocks", 'unknown_block', (_others, own) => good(own)],
  ['norms of a block that there is not', 'unknown_block', (others) => good([...others, 99])],
  [
    'norms of state',
    'unknown_block',
    () => good(exchanged.flatMap(({ index, kind }) => (kind === 'state' ? [index] : []))),
  ],
];
for (const [title, label, norms] of refusals)
  test(`${title}: refused as ${label}, and nothing has changed`, (t) => {
    const { set, own, others } = waitingShards();
    t.true(others.length > 1);
    const [shard] = set.shards;
    const before = stateOf(shard);
    const error = t.throws(() => shard.norms(norms(others, own)), { instanceOf: Refused });
    t.is(error?.label, label);
    t.deepEqual(stateOf(shard), before);
    t.deepEqual(shard.missingNorms(), others);
  });

test('a run that waits for no norms refuses them', (t) => {
  for (const [consistency, label] of [
    ['bsp', 'malformed'],
    ['asp', 'not_now'],
  ] as const) {
    const { shards } = makeShards(makeSpec({ consistency }), 1);
    const error = t.throws(() => shards[0].norms({ step: 0, round: 0, blocks: [], squares: [] }), {
      instanceOf: Refused,
    });
    t.is(error?.label, label);
  }
});

test('whatever comes as norms is refused with a sentence, or taken', (t) => {
  const number = fc.oneof(fc.constantFrom(0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY), fc.double());
  const anyNorms = fc.record({
    step: fc.nat(3),
    round: fc.nat(2),
    blocks: fc.array(fc.nat(7), { maxLength: 6 }),
    squares: fc.array(number, { maxLength: 6 }),
  });
  let refused = 0;
  let applied = 0;
  fc.assert(
    fc.property(fc.array(anyNorms, { minLength: 1, maxLength: 40 }), ([...all]) => {
      const { set, others } = waitingShards();
      const [shard] = set.shards;
      const before = stateOf(shard);
      // Some that are right, among them.
      all.splice(all.length >> 1, 0, { ...good(others.slice(1)) } as never, { ...good(others) } as never);
      for (const norms of all)
        try {
          shard.norms(norms);
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          refused++;
        }
      t.is(shard.step, 2);
      t.notDeepEqual(stateOf(shard), before);
      applied++;
    }),
    { seed: 20_268, numRuns: 60 },
  );
  t.true(refused > 100 && applied === 60);
});
