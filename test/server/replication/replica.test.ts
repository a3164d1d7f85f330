// A copy of a shard, driven by what its primary sends: equal to the bit when all has come, and able to go on by itself
// from any message on, also while it is being copied anew after its stream broke.
import test from 'ava';
import type { Replica } from '../../../server/replication/replica.js';
import type { Shard } from '../../../server/shard.js';
import type { CodecName } from '../../../shared/codec/codec.js';
import { codecNames, codecs } from '../../../shared/codec/registry.js';
import { type OptimizerSpec, optimizerSpec } from '../../../shared/optimizer/spec.js';
import type { Bulk } from '../../../shared/rpc/bulk.js';
import { checksumOf } from '../../../shared/rpc/checksum.js';
import { Refused } from '../../../shared/rpc/refusal.js';
import { codecsByStep } from '../../../shared/run/block-codecs.js';
import { layoutOf, type RunSpec } from '../../../shared/run/spec.js';
import { bitsOf, newReplica, Primary, sendsOf } from '../../helpers/replication.js';
import { makeSpec } from '../../helpers/shards.js';

const STEPS = 3;

const LARGE: RunSpec['tensors'] = [
  { name: 'dense/kernel', shape: [40, 30], kind: 'trainable' },
  { name: 'dense/bias', shape: [30], kind: 'trainable' },
  { name: 'norm/moving_mean', shape: [11], kind: 'state' },
  { name: 'embedding', shape: [5], kind: 'frozen' },
  { name: 'out/kernel', shape: [1024], kind: 'trainable' },
];

const cases: [string, Partial<RunSpec>][] = [
  ...(['sgd', 'momentum', 'adagrad', 'rmsprop', 'adam', 'adamw', 'lion'] as const).map(
    (kind): [string, Partial<RunSpec>] => [kind, { optimizer: optimizerSpec(kind, 1e-2) }],
  ),
  [
    'adam with decay of both kinds and clipped values',
    { optimizer: { ...optimizerSpec('adam', 1e-2), l1: 1e-3, l2: 1e-2, clipValue: 0.1 } as OptimizerSpec },
  ],
  ...(['fp32', 'bf16', 'int8', 'topk', 'sign'] as CodecName[]).map((codec): [string, Partial<RunSpec>] => [
    `momentum and ${codec}`,
    {
      codec,
      optimizer: optimizerSpec('momentum', 1e-2),
      tensors: LARGE,
      ...(codec === 'topk' ? { topKPercent: 10 } : {}),
    },
  ]),
  [
    'momentum and topk of few elements',
    { codec: 'topk', topKPercent: 2, optimizer: optimizerSpec('momentum', 1e-2), tensors: LARGE },
  ],
];

/** What the shard of a primary becomes that nothing happens to. */
function undisturbed(spec: RunSpec): string[] {
  const primary = new Primary(spec);
  for (let step = -1; step < STEPS; step++) for (const _ of primary.step(step)) void _;
  return bitsOf(primary.shard);
}

/** A copy goes on by itself: workers send again what is not decided. */
function goOn(spec: RunSpec, replica: Replica): Shard {
  const { shard, opening } = replica;
  shard.takeOver(1, spec, opening);
  // First values are given again where they had not come; whoever has them changes nothing.
  for (let step = shard.initialized ? opening.step : -1; step < STEPS; step++)
    for (const send of sendsOf(spec, shard, step))
      for (const effect of send()) if (effect.kind === 'updated') shard.encodeUpdate(effect.block);
  return shard;
}

for (const [title, changes] of cases) {
  test(`${title}: a copy that has everything is equal to its primary, to the bit`, (t) => {
    const spec = makeSpec(changes);
    const primary = new Primary(spec);
    const replica = newReplica(spec);
    primary.place(1);
    for (let step = -1; step < STEPS; step++)
      for (const _ of primary.step(step)) while (primary.wire(1).deliver(replica)) void _;
    t.true(replica.isWhole);
    t.is(replica.step, STEPS);
    t.deepEqual(bitsOf(replica.shard), bitsOf(primary.shard));
    t.deepEqual(bitsOf(primary.shard), undisturbed(spec));
  });

  test(`${title}: from any message on a copy can go on by itself, with the same bits`, (t) => {
    const spec = makeSpec(changes);
    const expected = undisturbed(spec);
    let messages = 0;
    let isOver = false;
    for (let until = 2; !isOver; until += 3) {
      const primary = new Primary(spec);
      const replica = newReplica(spec);
      primary.place(1);
      messages = 0;
      const deliver = () => {
        while (messages < until && primary.wire(1).deliver(replica)) messages++;
      };
      // A primary waits for its copy before workers go on.
      for (let step = -1; step < STEPS && messages < until; step++) {
        for (const _ of primary.step(step)) void _;
        deliver();
      }
      isOver = messages < until;
      t.deepEqual(bitsOf(goOn(spec, replica)), expected, `after ${messages} messages`);
    }
    t.true(messages > STEPS * 4);
  });

  test(`${title}: cut off and copied anew it stays able to, after any message of the new copy`, (t) => {
    const spec = makeSpec(changes);
    const expected = undisturbed(spec);
    for (const cutAt of [1, 4]) {
      let isOver = false;
      for (let until = 0; !isOver; until += 2) {
        const primary = new Primary(spec);
        const replica = newReplica(spec);
        primary.place(1);
        for (let step = -1; step < 1; step++)
          for (const _ of primary.step(step)) while (primary.wire(1).deliver(replica)) void _;
        // In the middle of a step the stream breaks; what the primary does now nobody is told.
        let messages = 0;
        for (const _ of primary.step(1)) {
          if (messages++ === cutAt) primary.wire(1).emit('end');
          if (messages <= cutAt) while (primary.wire(1).deliver(replica)) void _;
        }
        const again = primary.wire(1);
        for (messages = 0; messages < until && again.deliver(replica); messages++);
        isOver = messages < until;
        t.deepEqual(bitsOf(goOn(spec, replica)), expected, `cut at ${cutAt}, ${messages} messages anew`);
      }
    }
  });
}

test('what does not follow on what a copy has is refused, and changes nothing', (t) => {
  const spec = makeSpec();
  const primary = new Primary(spec);
  const replica = newReplica(spec);
  primary.place(1);
  for (const _ of primary.step(-1)) while (primary.wire(1).deliver(replica)) void _;
  const before = bitsOf(replica.shard);
  const outcome = {
    ...{ step: 5, skipped: false, samples: 1, loss: 0, accuracy: 0 },
    notFinite: [],
    contributors: [],
  };
  t.throws(() => replica.verdict(outcome), { instanceOf: Refused, message: /verdict on step 0/ });
  const bulk = {
    ...{ step: 0, block: 0, codec: 1, scale: 0, checksum: 0, version: 3, fetched: false },
    ...{ clockMin: 0, clockMax: 0, scalars: [1, 1, 1, 1], payload: Buffer.alloc(4 * 77) },
  };
  t.throws(() => replica.update(bulk), { instanceOf: Refused, message: /expected its update 0, got 3/ });
  t.throws(() => replica.update({ ...bulk, version: 0 }), { instanceOf: Refused, message: /checksum/ });
  t.throws(() => replica.update({ ...bulk, version: 0, scalars: [1, Number.NaN, 1, 1] }), {
    instanceOf: Refused,
    message: /finite scalars/,
  });
  t.deepEqual(bitsOf(replica.shard), before);
});

for (const codec of codecNames)
  test(`${codec}: a copy is sent the sum of a block, or its contributions where they are fewer bytes`, (t) => {
    for (const workers of [1, 2, 3, 4, 5]) {
      const optimizer = optimizerSpec('momentum', 1e-2);
      const spec = makeSpec({ codec, workers, optimizer, tensors: LARGE, topKPercent: 10 });
      const primary = new Primary(spec);
      const replica = newReplica(spec);
      primary.place(1);
      for (let step = -1; step < STEPS; step++)
        for (const _ of primary.step(step)) while (primary.wire(1).deliver(replica)) void _;
      t.deepEqual(bitsOf(replica.shard), bitsOf(primary.shard));
      const { blocks } = layoutOf(spec);
      const codecsUp = codecsByStep(spec, blocks, 'up')(0);
      const stepBytes = blocks.map(({ kind, elements }, at) =>
        kind === 'frozen' ? 0 : Math.min(4 * elements, workers * codecsUp[at].payloadBytes(elements)),
      );
      t.is(primary.sentBytes, STEPS * stepBytes.reduce((sum, bytes) => sum + bytes));
    }
  });

test('a copy adds up nothing but all contributions of a step, from the first on, as its run says', (t) => {
  const spec = makeSpec({ codec: 'int8', optimizer: optimizerSpec('sgd', 1e-2), tensors: LARGE });
  const primary = new Primary(spec);
  const replica = newReplica(spec);
  primary.place(1);
  const parts: Bulk[] = [];
  const updates: Bulk[] = [];
  const take = (bulk: Bulk) => ({ ...bulk, payload: Buffer.from(bulk.payload) });
  for (const _ of primary.step(-1)) while (primary.wire(1).deliver(replica)) void _;
  const before = bitsOf(replica.shard);
  const seen = {
    begin: () => undefined,
    part: (bulk: Bulk) => bulk.block === 0 && parts.push(take(bulk)),
    update: (bulk: Bulk) => bulk.block === 0 && updates.push(take(bulk)),
    verdict: () => undefined,
    sumsOf: (block: number) => replica.sumsOf(block),
  };
  for (const _ of primary.step(0)) while (primary.wire(1).deliver(seen as unknown as Replica)) void _;
  const [first, second] = parts;
  const [update] = updates;
  const refused = (message: RegExp, work: () => void) => t.throws(work, { instanceOf: Refused, message });
  t.is(parts.length, 2);
  refused(/expected the first contribution of step 0/, () => replica.part(second));
  refused(/expected 2 contributions of step 0 before their update, got 0/, () => replica.update(update));
  refused(/not the one whose checksum/, () => replica.part({ ...first, checksum: 1 }));
  refused(/in int8 with a finite weight, got codec 1/, () => replica.part({ ...first, codec: 1 }));
  refused(/with a finite weight/, () => replica.part({ ...first, scalars: [Number.NaN] }));
  refused(/has \d+ bytes/, () => replica.part({ ...first, payload: first.payload.subarray(1) }));
  replica.part(first);
  refused(/expected 2 contributions of step 0 before their update, got 1/, () => replica.update(update));
  refused(/expected the first contribution of step 1/, () => replica.part({ ...second, step: 1 }));
  t.deepEqual(bitsOf(replica.shard), before);
  // An attempt that was broken off is forgotten with the first contribution of the next.
  for (const part of [first, second, first, second]) replica.part(part);
  refused(/expected at most 2 contributions of step 0, got one more/, () => replica.part(second));
  refused(/expected 3 contributions .*, got 2/, () => replica.update({ ...update, clockMin: 3 }));
  for (const part of parts) replica.part(part);
  replica.update(update);
  t.notDeepEqual(bitsOf(replica.shard), before);
});

test('a copy refuses a contribution whose inside is not as its codec has it, whatever its checksum says', (t) => {
  const optimizer = optimizerSpec('momentum', 1e-2);
  const spec = makeSpec({ codec: 'topk', topKPercent: 2, optimizer, tensors: LARGE });
  const primary = new Primary(spec);
  const replica = newReplica(spec);
  primary.place(1);
  for (const _ of primary.step(-1)) while (primary.wire(1).deliver(replica)) void _;
  const before = bitsOf(replica.shard);
  let refusals = 0;
  const seen = {
    part: (bulk: Bulk) => {
      if (bulk.codec !== codecs.topk.id || !bulk.fetched) return;
      const payload = Buffer.from(bulk.payload);
      // No position is named any more.
      payload.fill(0, 4, 12);
      const changed = { ...bulk, payload, checksum: checksumOf(payload) };
      t.throws(() => replica.part(changed), {
        instanceOf: Refused,
        message: /ascending positions: its bit string/,
      });
      refusals++;
    },
    update: () => undefined,
    verdict: () => undefined,
    sumsOf: (block: number) => replica.sumsOf(block),
  };
  for (const _ of primary.step(0)) while (primary.wire(1).deliver(seen as unknown as Replica)) void _;
  t.true(refusals > 0);
  t.deepEqual(bitsOf(replica.shard), before);
});

test('a copy that is not whole says so', (t) => {
  const spec = makeSpec();
  const primary = new Primary(spec);
  const replica = newReplica(spec);
  for (const _ of primary.step(-1)) void _;
  primary.place(1);
  const isWhole = () => replica.isWhole;
  while (!isWhole() && primary.wire(1).deliver(replica)) t.is(isWhole(), primary.wire(1).length === 0);
  t.deepEqual(bitsOf(replica.shard), bitsOf(primary.shard));
  t.true(replica.shard.initialized);
});
