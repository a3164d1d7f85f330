// The pure shard: what it refuses changes nothing, what comes early is held within credit, what a step's headers
// decide, and that whatever was sent is acknowledged and released once.
import test from 'ava';
import { type Effect, Shard } from '../../server/shard.js';
import { BLOCK_ELEMENTS_MAX, PUSH_CREDIT_BYTES } from '../../shared/limits.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { layoutOf } from '../../shared/run/spec.js';
import {
  bulkOf,
  contributionOf,
  finiteHeader,
  headerOf,
  makeShards,
  makeSpec,
  normals,
  stateOf,
  valuesOf,
  withPayload,
} from '../helpers/shards.js';

const spec = makeSpec();
const { blocks } = layoutOf(spec);
const exchanged = blocks.filter(({ kind }) => kind !== 'frozen');
const frozen = blocks.find(({ kind }) => kind === 'frozen')?.index ?? -1;
const state = blocks.find(({ kind }) => kind === 'state')?.index ?? -1;

/** A shard of two workers in the middle of step 1: headers of both, block 0 summed, block 1 held of worker 1. */
function busyShard(): Shard {
  const [shard] = makeShards(spec, 1).shards;
  for (const worker of [0, 1]) {
    shard.header(worker, 0, headerOf(0, worker));
    for (const { index } of exchanged) shard.contribution(worker, contributionOf(spec, 0, worker, index));
  }
  shard.header(1, 1, headerOf(1, 1));
  shard.header(0, 1, headerOf(1, 0));
  shard.contribution(0, contributionOf(spec, 1, 0, 0));
  shard.contribution(1, contributionOf(spec, 1, 1, 1));
  return shard;
}

const float = (...values: number[]) => Buffer.from(new Float32Array(values).buffer);

/** A contribution to block 0 that would be taken, with changes. */
const next = (changes: object = {}) => ({ ...contributionOf(spec, 1, 1, 0), ...changes });

const refusals: [title: string, label: string, act: (shard: Shard) => unknown][] = [
  [
    'a contribution to a block of another server',
    'unknown_block',
    (s) => s.contribution(1, next({ block: 99 })),
  ],
  [
    'a contribution to a frozen block',
    'unknown_block',
    (s) => s.contribution(1, bulkOf(1, frozen, 'fp32', normals(15, 'x'))),
  ],
  ['a contribution of a step ahead', 'step', (s) => s.contribution(1, next({ step: 2 }))],
  ['a contribution of a rank that is not in the run', 'step', (s) => s.contribution(2, next())],
  ['a contribution in an unknown codec', 'payload', (s) => s.contribution(1, next({ codec: 9 }))],
  [
    "a contribution in a codec that is not the run's",
    'payload',
    (s) => s.contribution(1, bulkOf(1, 0, 'fp32', normals(77, 'x'))),
  ],
  [
    "state in the run's half precision instead of fp32",
    'payload',
    (s) => s.contribution(1, bulkOf(1, state, 'fp16', normals(11, 'x'))),
  ],
  [
    'a payload that is too short',
    'payload',
    (s) => s.contribution(1, withPayload(next(), next().payload.subarray(2))),
  ],
  ['an empty payload', 'payload', (s) => s.contribution(1, withPayload(next(), Buffer.alloc(0)))],
  [
    'a payload that is too long',
    'payload',
    (s) => s.contribution(1, withPayload(next(), Buffer.alloc(BLOCK_ELEMENTS_MAX * 4 + 4))),
  ],
  ['a scale that is no power of two', 'payload', (s) => s.contribution(1, next({ scale: 3 }))],
  ['a scale of zero', 'payload', (s) => s.contribution(1, next({ scale: 0 }))],
  ['a scale that is NaN', 'payload', (s) => s.contribution(1, next({ scale: Number.NaN }))],
  ['a wrong checksum', 'checksum', (s) => s.contribution(1, next({ checksum: 1 }))],
  [
    'NaN behind a finite header',
    'not_finite',
    (s) => s.contribution(1, withPayload(next(), Buffer.alloc(154, 0xff))),
  ],
  [
    'infinity in state',
    'not_finite',
    (s) =>
      s.contribution(
        1,
        withPayload(bulkOf(1, state, 'fp32', normals(11, 'x')), float(...normals(10, 'x'), Infinity)),
      ),
  ],
  ['a header of a step ahead', 'step', (s) => s.header(1, 2, finiteHeader)],
  ['a header of a rank that is not in the run', 'unknown_worker', (s) => s.header(2, 1, finiteHeader)],
  ['a header without samples', 'malformed', (s) => s.header(1, 1, { ...finiteHeader, samples: 0 })],
  ['a loss scale of 3', 'malformed', (s) => s.header(1, 1, { ...finiteHeader, lossScale: 3 })],
  ['a loss scale of 0', 'malformed', (s) => s.header(1, 1, { ...finiteHeader, lossScale: 0 })],
  ['a loss scale of -2', 'malformed', (s) => s.header(1, 1, { ...finiteHeader, lossScale: -2 })],
  ['an infinite loss scale', 'malformed', (s) => s.header(1, 1, { ...finiteHeader, lossScale: Infinity })],
  [
    'a loss scale that is NaN',
    'malformed',
    (s) => s.header(1, 1, { ...finiteHeader, lossScale: Number.NaN }),
  ],
  [
    'initial values of a worker that is not of rank 0',
    'unknown_worker',
    (s) => s.initial(1, bulkOf(0, 0, 'fp32', normals(77, 'x'))),
  ],
  ['initial values of an unknown block', 'unknown_block', (s) => s.initial(0, next({ block: 99 }))],
  [
    'initial values in half precision',
    'payload',
    (s) => s.initial(0, bulkOf(0, 0, 'fp16', normals(77, 'x'))),
  ],
  ['values of an unknown block', 'unknown_block', (s) => s.encode(99, 'fp32')],
];

for (const [title, label, act] of refusals)
  test(`${title}: refused as ${label}, and nothing has changed`, (t) => {
    const shard = busyShard();
    const before = stateOf(shard);
    const error = t.throws(() => act(shard), { instanceOf: Refused });
    t.is(error?.label, label);
    t.regex(error?.sentence ?? '', /expected|checksum|this one (is|has)|is frozen/);
    t.notRegex(error?.sentence ?? '', /\n/);
    t.deepEqual(stateOf(shard), before);
    // What is held and summed has not changed either: the step ends with the bits it would have had.
    const untouched = busyShard();
    for (const each of [shard, untouched])
      for (const worker of [0, 1])
        for (const { index } of exchanged) each.contribution(worker, contributionOf(spec, 1, worker, index));
    t.is(shard.step, 2);
    t.deepEqual(stateOf(shard), stateOf(untouched));
  });

test('a contribution before the header of its step is refused', (t) => {
  const [shard] = makeShards(spec, 1).shards;
  const before = stateOf(shard);
  shard.header(0, 0, headerOf(0, 0));
  const error = t.throws(() => shard.contribution(1, contributionOf(spec, 0, 1, 0)), { instanceOf: Refused });
  t.is(error?.label, 'step');
  t.like(stateOf(shard), { heldBytes: 0, blocks: (before as { blocks: object }).blocks });
});

test('headers and contributions before all initial values are refused', (t) => {
  const [shard] = makeShards(spec, 1, false).shards;
  for (const { index, elements } of blocks.slice(1))
    shard.initial(0, bulkOf(0, index, 'fp32', normals(elements, index)));
  t.false(shard.initialized);
  t.is(t.throws(() => shard.header(0, 0, finiteHeader), { instanceOf: Refused })?.label, 'step');
  t.is(
    t.throws(() => shard.contribution(0, contributionOf(spec, 0, 0, 0)), { instanceOf: Refused })?.label,
    'step',
  );
  const effects = shard.initial(0, bulkOf(0, 0, 'fp32', normals(77, 0)));
  t.true(effects.some(({ kind }) => kind === 'initialized'));
  t.true(shard.initialized);
  t.deepEqual(shard.header(0, 0, finiteHeader), []);
});

test('initial values that come again change nothing and are acknowledged again', (t) => {
  const shard = busyShard();
  const before = stateOf(shard);
  const effects = shard.initial(0, bulkOf(0, 0, 'fp32', normals(77, 'others')));
  t.deepEqual(effects, [
    { kind: 'ack', worker: 0, step: 0, block: 0 },
    { kind: 'release', worker: 0, bytes: 308 },
  ]);
  t.deepEqual(stateOf(shard), before);
});

test('initial values are taken to the bit', (t) => {
  const [shard] = makeShards(spec, 1).shards;
  for (const { index, elements } of blocks)
    t.deepEqual(valuesOf(shard, index), normals(elements, 'initial', spec.seed, index));
});

test('a header that says not finite skips the step on every server: decided, but no update', (t) => {
  const three = makeSpec({ workers: 3 });
  const { shards, owners } = makeShards(three, 3);
  for (const [server, shard] of shards.entries()) {
    const own = exchanged.filter(({ index }) => owners[index] === server);
    const before = own.map(({ index }) => valuesOf(shard, index));
    shard.header(0, 0, { ...finiteHeader, samples: 4, lossSum: 8, correct: 1 });
    for (const { index } of own) shard.contribution(0, contributionOf(three, 0, 0, index));
    shard.header(2, 0, { ...finiteHeader, allFinite: false, samples: 4, lossSum: 2, correct: 3 });
    const held = own.map(({ index }) => contributionOf(three, 0, 2, index));
    for (const bulk of held) shard.contribution(2, bulk);
    const effects = shard.header(1, 0, { ...finiteHeader, samples: 8, lossSum: 6, correct: 4 });
    t.deepEqual(effects[0], {
      kind: 'outcome',
      outcome: {
        step: 0,
        skipped: true,
        samples: 16,
        loss: 1,
        accuracy: 0.5,
        notFinite: [2],
        contributors: [],
      },
    });
    t.deepEqual(effects.at(-1), { kind: 'closed', step: 0 });
    t.is(effects.filter(({ kind }) => kind === 'ack').length, 2 * own.length);
    t.is(
      effects.reduce((sum, effect) => sum + (effect.kind === 'release' ? effect.bytes : 0), 0),
      held.reduce((sum, { payload }) => sum + payload.byteLength, 0),
    );
    t.is(shard.step, 1);
    t.is(shard.heldBytes, 0);
    for (const [i, { index }] of own.entries()) {
      t.like(shard.encode(index, 'fp32'), { step: 1, version: 0 });
      t.deepEqual(valuesOf(shard, index), before[i]);
    }
  }
});

test("after a skipped step Adam's t is the number of updates, not of steps", (t) => {
  const one = makeSpec({ workers: 1, tensors: [{ name: 'w', shape: [40], kind: 'trainable' }] });
  const [skipping] = makeShards(one, 1).shards;
  const [straight] = makeShards(one, 1).shards;
  skipping.header(0, 0, { ...finiteHeader, allFinite: false });
  for (const [shard, step] of [
    [skipping, 1],
    [straight, 0],
  ] as const) {
    shard.header(0, step, finiteHeader);
    shard.contribution(0, { ...contributionOf(one, 0, 0, 0), step });
  }
  t.deepEqual(valuesOf(skipping, 0), valuesOf(straight, 0));
  t.like(skipping.encode(0, 'fp32'), { step: 2, version: 1 });
});

test('an early contribution is held without a release, and summed when its turn comes', (t) => {
  const [shard] = makeShards(spec, 1).shards;
  for (const worker of [0, 1]) shard.header(worker, 0, headerOf(0, worker));
  const early = contributionOf(spec, 0, 1, 0);
  t.deepEqual(shard.contribution(1, early), []);
  t.is(shard.heldBytes, early.payload.byteLength);
  const effects = shard.contribution(0, contributionOf(spec, 0, 0, 0));
  t.deepEqual(
    effects.map(({ kind }) => kind),
    ['release', 'release', 'ack', 'ack', 'updated'],
  );
  t.is(shard.heldBytes, 0);
});

test('a held contribution that comes again is released, and acknowledged only when it is applied', (t) => {
  const [shard] = makeShards(spec, 1).shards;
  for (const worker of [0, 1]) shard.header(worker, 0, headerOf(0, worker));
  const early = contributionOf(spec, 0, 1, 0);
  shard.contribution(1, early);
  t.deepEqual(shard.contribution(1, early), [
    { kind: 'duplicate' },
    { kind: 'release', worker: 1, bytes: early.payload.byteLength },
  ]);
  t.is(shard.heldBytes, early.payload.byteLength);
  shard.contribution(0, contributionOf(spec, 0, 0, 0));
  t.true(shard.contribution(1, early).some(({ kind }) => kind === 'ack'));
});

test('early contributions are bounded by credit, and what is beyond is refused without a trace', (t) => {
  const count = PUSH_CREDIT_BYTES / (BLOCK_ELEMENTS_MAX * 4);
  const large = makeSpec({
    tensors: [{ name: 'w', shape: [(count + 1) * BLOCK_ELEMENTS_MAX], kind: 'trainable' }],
    codec: 'fp32',
    optimizer: optimizerSpec('sgd', 0.1),
  });
  const [shard] = makeShards(large, 1).shards;
  for (const worker of [0, 1]) shard.header(worker, 0, finiteHeader);
  const values = normals(BLOCK_ELEMENTS_MAX, 'x');
  for (let block = 0; block < count; block++) shard.contribution(1, bulkOf(0, block, 'fp32', values));
  t.is(shard.heldBytes, PUSH_CREDIT_BYTES);
  const beyond = bulkOf(0, count, 'fp32', values);
  t.is(t.throws(() => shard.contribution(1, beyond), { instanceOf: Refused })?.label, 'credit');
  t.is(shard.heldBytes, PUSH_CREDIT_BYTES);
  // Worker 0's turn has come for every block: it is never held, and makes room for the others.
  shard.contribution(0, bulkOf(0, 0, 'fp32', values));
  t.deepEqual(shard.contribution(1, beyond), []);
});

test('acknowledgements and releases add up to exactly what was sent', (t) => {
  const three = makeSpec({ workers: 3 });
  const { shards, owners } = makeShards(three, 2);
  for (const [server, shard] of shards.entries()) {
    const own = exchanged.filter(({ index }) => owners[index] === server);
    const effects: Effect[] = [];
    const sentBytes = [0, 0, 0];
    for (let step = 0; step < 3; step++) {
      for (const worker of [0, 1, 2]) effects.push(...shard.header(worker, step, headerOf(step, worker)));
      // Highest rank first, so that everything of ranks 1 and 2 is held.
      for (const worker of [2, 1, 0])
        for (const { index } of own) {
          const bulk = contributionOf(three, step, worker, index);
          sentBytes[worker] += bulk.payload.byteLength;
          effects.push(...shard.contribution(worker, bulk));
        }
    }
    const released = [0, 0, 0];
    for (const effect of effects) if (effect.kind === 'release') released[effect.worker] += effect.bytes;
    t.deepEqual(released, sentBytes);
    const acks = effects.flatMap((e) => (e.kind === 'ack' ? [`${e.worker}/${e.step}/${e.block}`] : []));
    t.is(new Set(acks).size, acks.length);
    t.is(acks.length, 3 * 3 * own.length);
    t.is(shard.step, 3);
  }
});

test('a shard says whom the open step waits for', (t) => {
  const [shard] = makeShards(makeSpec({ workers: 3 }), 1).shards;
  t.deepEqual(shard.waitingFor(), [0, 1, 2]);
  shard.header(1, 0, finiteHeader);
  t.deepEqual(shard.waitingFor(), [0, 1, 2]);
  for (const { index } of exchanged) shard.contribution(1, contributionOf(spec, 0, 1, index));
  t.deepEqual(shard.waitingFor(), [0, 2]);
});

test('a shard without blocks decides its steps on headers alone', (t) => {
  const shard = new Shard(spec, layoutOf(spec), []);
  t.true(shard.initialized);
  shard.header(0, 0, finiteHeader);
  const effects = shard.header(1, 0, finiteHeader);
  t.deepEqual(
    effects.map(({ kind }) => kind),
    ['outcome', 'closed'],
  );
  t.is(shard.step, 1);
});

test('parameters that have grown beyond all numbers are refused, not sent', (t) => {
  const wild = makeSpec({ workers: 1, codec: 'fp32', optimizer: optimizerSpec('sgd', 1e30) });
  const [shard] = makeShards(wild, 1).shards;
  shard.header(0, 0, finiteHeader);
  shard.contribution(0, bulkOf(0, 0, 'fp32', new Float32Array(77).fill(1e30)));
  const error = t.throws(() => shard.encode(0, 'fp32'), { instanceOf: Refused });
  t.is(error?.label, 'not_finite');
  t.regex(error?.sentence ?? '', /dense\/kernel/);
});
