// Workers with clocks of their own (ssp and asp): what one contribution does to a block, that one worker alone gets
// the bits of bsp, who is let go when, what is refused, and whom a wait names.
import test from 'ava';
import fc from 'fast-check';
import type { Effect } from '../../../server/effects.js';
import { Shard } from '../../../server/shard.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { Refused } from '../../../shared/rpc/refusal.js';
import { layoutOf, type RunSpec } from '../../../shared/run/spec.js';
import {
  bitsOfAll,
  bulkOf,
  contributionOf,
  finiteHeader,
  gradientOf,
  headerOf,
  makeShards,
  makeSpec,
  normals,
  stateOf,
  valuesOf,
} from '../../helpers/shards.js';
import { trainInOrder } from '../../helpers/training.js';

const ssp = (staleness: number, changes: Partial<RunSpec> = {}) =>
  makeSpec({ consistency: 'ssp', staleness, globalBatch: 32, ...changes });
const asp = (changes: Partial<RunSpec> = {}) => makeSpec({ consistency: 'asp', globalBatch: 32, ...changes });

const exchanged = layoutOf(makeSpec()).blocks.filter(({ kind }) => kind !== 'frozen');

/** One whole step of a worker on a shard that has all blocks. */
function wholeStep(spec: RunSpec, shard: Shard, worker: number, step: number): Effect[] {
  const effects = shard.header(worker, step, headerOf(step, worker));
  for (const { index } of exchanged)
    effects.push(...shard.contribution(worker, contributionOf(spec, step, worker, index)));
  return effects;
}

const answersIn = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.kind === 'answer' ? [[effect.worker, effect.block, effect.step]] : []));
const allFor = (worker: number, step: number) => exchanged.map(({ index }) => [worker, index, step]);

test('one worker under ssp with staleness 0, and under asp, gets the bits of bsp', (t) => {
  fc.assert(
    fc.property(
      fc.record({
        codec: fc.constantFrom('fp32', 'fp16', 'bf16'),
        kind: fc.constantFrom('sgd', 'momentum', 'adam'),
        consistency: fc.constantFrom('ssp', 'asp'),
        seed: fc.nat(),
        servers: fc.integer({ min: 1, max: 3 }),
        skippedStep: fc.option(fc.nat(3), { nil: undefined }),
      }),
      ({ codec, kind, consistency, seed, servers, skippedStep }) => {
        const spec = makeSpec({
          codec,
          seed,
          workers: 1,
          globalBatch: 0,
          optimizer: optimizerSpec(kind, 1e-2),
        });
        const staleness = consistency === 'ssp' ? { staleness: 0 } : {};
        const expected = bitsOfAll(trainInOrder(spec, servers, { skippedStep }));
        const clocked = trainInOrder({ ...spec, consistency, ...staleness }, servers, { skippedStep });
        t.deepEqual(bitsOfAll(clocked), expected);
      },
    ),
    { seed: 20_272, numRuns: 40 },
  );
});

test('one worker that has the whole batch gets the bits of bsp', (t) => {
  for (const consistency of ['bsp', 'ssp'] as const) {
    const spec = makeSpec({ workers: 1, globalBatch: 24 });
    const [shard] = makeShards(
      { ...spec, consistency, ...(consistency === 'ssp' ? { staleness: 0 } : {}) },
      1,
    ).shards;
    const [expected] = makeShards(spec, 1).shards;
    for (const each of [shard, expected]) {
      each.header(0, 0, { ...finiteHeader, samples: 24, lossScale: 4 });
      for (const { index } of exchanged) each.contribution(0, contributionOf(spec, 0, 0, index));
    }
    for (const { index } of exchanged) t.deepEqual(valuesOf(shard, index), valuesOf(expected, index));
  }
});

test("updates of two workers are steps of one, in their order, and Adam's t is the block's version", (t) => {
  const spec = asp({ globalBatch: 0 });
  const [shard] = makeShards(spec, 1).shards;
  const [single] = makeShards(makeSpec({ workers: 1 }), 1).shards;
  const trainable = exchanged.filter(({ kind }) => kind === 'trainable');
  const clocks = [0, 0];
  for (const [update, worker] of [1, 0, 0, 0, 1].entries()) {
    const step = clocks[worker]++;
    wholeStep(spec, shard, worker, step);
    single.header(0, update, headerOf(step, worker));
    for (const { index } of exchanged)
      single.contribution(0, { ...contributionOf(spec, step, worker, index), step: update });
  }
  for (const { index } of trainable) {
    t.deepEqual(valuesOf(shard, index), valuesOf(single, index));
    t.like(shard.encode(index, 'fp32'), { version: 5, step: 2, clockMin: 2, clockMax: 3 });
  }
});

test('an update is the gradient times samples · workers / global batch; state moves by its share', (t) => {
  const spec = asp({ codec: 'fp32', workers: 4, globalBatch: 32, optimizer: optimizerSpec('sgd', 1) });
  const [shard] = makeShards(spec, 1).shards;
  const before = exchanged.map(({ index }) => valuesOf(shard, index));
  const samples = 6;
  shard.header(3, 0, { ...finiteHeader, samples, lossScale: 4 });
  for (const [i, { index, kind }] of exchanged.entries()) {
    const given = gradientOf(spec, 0, 3, index);
    shard.contribution(3, bulkOf(0, index, 'fp32', kind === 'state' ? given : given.map((x) => 4 * x)));
    const after = valuesOf(shard, index);
    for (const [at, value] of after.entries()) {
      const old = before[i][at];
      const exact =
        kind === 'state' ? old + (samples / 32) * (given[at] - old) : old - ((samples * 4) / 32) * given[at];
      t.true(Math.abs(value - exact) <= 2 ** -20 * (Math.abs(old) + Math.abs(given[at])), `${kind} ${index}`);
    }
  }
});

test('a worker ahead is let go when the slowest has done its part, block by block', (t) => {
  const spec = ssp(1);
  const [shard] = makeShards(spec, 1).shards;
  t.deepEqual(answersIn(wholeStep(spec, shard, 0, 0)), allFor(0, 1));
  t.deepEqual(shard.waitingFor(), []);
  t.deepEqual(answersIn(wholeStep(spec, shard, 0, 1)), []);
  t.is(shard.withheldOf(0), exchanged.length);
  t.deepEqual(shard.waitingFor(), [1]);
  t.is(shard.step, 0);

  t.deepEqual(answersIn(shard.header(1, 0, headerOf(0, 1))), []);
  for (const [i, { index }] of exchanged.entries()) {
    const effects = shard.contribution(1, contributionOf(spec, 0, 1, index));
    t.deepEqual(answersIn(effects), [
      [0, index, 2],
      [1, index, 1],
    ]);
    t.is(
      effects.some(({ kind }) => kind === 'closed'),
      i === exchanged.length - 1,
    );
  }
  t.is(shard.step, 1);
  t.is(shard.withheldOf(0), 0);
  t.deepEqual(shard.behind(2), [1]);
});

test('under asp nobody is withheld anything', (t) => {
  const spec = asp();
  const [shard] = makeShards(spec, 1).shards;
  for (let step = 0; step < 20; step++)
    t.deepEqual(answersIn(wholeStep(spec, shard, 1, step)), allFor(1, step + 1));
  t.is(shard.step, 0);
  t.deepEqual(shard.waitingFor(), []);
  t.like(shard.encode(0, 'fp32'), { step: 0, version: 20, clockMin: 0, clockMax: 20 });
});

test("a worker's step that is not finite is skipped alone, and lets it read as fresh as after any other", (t) => {
  const spec = ssp(0);
  const [shard] = makeShards(spec, 1).shards;
  const before = exchanged.map(({ index }) => valuesOf(shard, index));
  const skip = { ...headerOf(0, 0), samples: 10, lossSum: 20, correct: 5, allFinite: false };
  t.deepEqual(shard.header(0, 0, skip), [
    {
      kind: 'outcome',
      worker: 0,
      outcome: {
        step: 0,
        skipped: true,
        samples: 10,
        loss: 2,
        accuracy: 0.5,
        notFinite: [0],
        contributors: [],
      },
    },
  ]);
  t.is(shard.withheldOf(0), exchanged.length);
  for (const [i, { index }] of exchanged.entries()) t.deepEqual(valuesOf(shard, index), before[i]);
  const effects = wholeStep(spec, shard, 1, 0);
  t.like(effects[0], { kind: 'outcome', outcome: { skipped: false, notFinite: [] } });
  t.deepEqual(answersIn(effects).sort(), [...allFor(0, 1), ...allFor(1, 1)].sort());
  for (const { index } of exchanged) t.like(shard.encode(index, 'fp32'), { step: 1, version: 1 });
});

test('what comes twice is acknowledged again and changes nothing', (t) => {
  const spec = asp();
  const [shard] = makeShards(spec, 1).shards;
  shard.header(0, 0, headerOf(0, 0));
  const [{ index: block }] = exchanged;
  const bulk = contributionOf(spec, 0, 0, block);
  const bytes = bulk.payload.byteLength;
  const again: Effect[] = [
    { kind: 'duplicate' },
    { kind: 'ack', worker: 0, step: 0, block },
    { kind: 'release', worker: 0, bytes },
  ];
  shard.contribution(0, bulk);
  const open = stateOf(shard);
  t.deepEqual(shard.header(0, 0, headerOf(0, 0)), []);
  t.deepEqual(shard.contribution(0, bulk), again);
  t.deepEqual(stateOf(shard), open);
  for (const { index } of exchanged.slice(1)) shard.contribution(0, contributionOf(spec, 0, 0, index));
  const done = stateOf(shard);
  t.deepEqual(shard.contribution(0, bulk), again);
  t.deepEqual(shard.header(0, 0, headerOf(0, 0)), []);
  t.deepEqual(stateOf(shard), done);
});

const refusals: [
  title: string,
  label: string,
  sentence: RegExp,
  act: (shard: Shard, spec: RunSpec) => unknown,
][] = [
  [
    'a header of a worker whose blocks are withheld',
    'step',
    /expected it to wait for the blocks of step 1.*with staleness 1 it waits for worker 1/,
    (shard) => shard.header(0, 2, headerOf(2, 0)),
  ],
  [
    'a header of a step ahead',
    'step',
    /header of step 0, got step 1/,
    (shard) => shard.header(1, 1, headerOf(1, 1)),
  ],
  [
    'a header of a rank that is not in the run',
    'unknown_worker',
    /rank below 2/,
    (shard) => shard.header(2, 0, finiteHeader),
  ],
  [
    'a header without samples',
    'malformed',
    /one sample/,
    (shard) => shard.header(1, 0, { ...finiteHeader, samples: 0 }),
  ],
  [
    'a header of more samples than a step has',
    'malformed',
    /at most the 32 samples of a step, got 33/,
    (shard) => shard.header(1, 0, { ...finiteHeader, samples: 33 }),
  ],
  [
    'a contribution without a header',
    'step',
    /header of step 0 before block 0/,
    (shard, spec) => shard.contribution(1, contributionOf(spec, 0, 1, 0)),
  ],
  [
    'a contribution of a rank that is not in the run',
    'step',
    /header/,
    (shard, spec) => shard.contribution(2, contributionOf(spec, 0, 1, 0)),
  ],
  [
    'a payload of a wrong length',
    'payload',
    /bytes/,
    (shard, spec) => {
      shard.header(1, 0, headerOf(0, 1));
      shard.contribution(1, { ...contributionOf(spec, 0, 1, 0), payload: Buffer.alloc(3) });
    },
  ],
];

for (const [title, label, sentence, act] of refusals)
  test(`${title}: refused as ${label}, and nothing has changed`, (t) => {
    const spec = ssp(1);
    const [shard] = makeShards(spec, 1).shards;
    for (const step of [0, 1]) wholeStep(spec, shard, 0, step);
    const before = stateOf(shard);
    const error = t.throws(() => act(shard, spec), { instanceOf: Refused });
    t.is(error?.label, label);
    t.regex(error?.sentence ?? '', sentence);
    t.deepEqual(stateOf(shard), before);
  });

test('a shard without blocks counts clocks on headers alone and withholds nothing', (t) => {
  const spec = ssp(0);
  const shard = new Shard(spec, layoutOf(spec), []);
  t.deepEqual(
    shard.header(0, 0, finiteHeader).map(({ kind }) => kind),
    ['outcome'],
  );
  t.deepEqual(
    shard.header(1, 0, finiteHeader).map(({ kind }) => kind),
    ['outcome', 'closed'],
  );
  t.is(shard.step, 1);
});

test('a header before all initial values is refused', (t) => {
  const spec = asp();
  const [shard] = makeShards(spec, 1, false).shards;
  shard.initial(0, bulkOf(0, 0, 'fp32', normals(77, 'x')));
  t.is(t.throws(() => shard.header(0, 0, finiteHeader), { instanceOf: Refused })?.label, 'step');
});
