// Copies that are compared with their primary: a bit that has changed in a backup's memory is found, told and mended,
// wherever it is and whenever it changes, and the bits of the training stay those of an undisturbed one.
import test from 'ava';
import fc from 'fast-check';
import type { Replica } from '../../../server/replication/replica.js';
import { Rounds } from '../../../server/replication/rounds.js';
import type { CodecName } from '../../../shared/codec/codec.js';
import { COMPARED_STEP_BYTES } from '../../../shared/limits.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { Refused } from '../../../shared/rpc/refusal.js';
import type { RunSpec } from '../../../shared/run/spec.js';
import {
  bitsOf,
  type FlippedBit,
  flipBit,
  newReplica,
  newShard,
  Primary,
  sendsOf,
} from '../../helpers/replication.js';
import { makeSpec } from '../../helpers/shards.js';

const STEPS = 5;

const LARGE: RunSpec['tensors'] = [
  { name: 'dense/kernel', shape: [40, 30], kind: 'trainable' },
  { name: 'dense/bias', shape: [30], kind: 'trainable' },
  { name: 'norm/moving_mean', shape: [11], kind: 'state' },
  { name: 'embedding', shape: [5], kind: 'frozen' },
  { name: 'out/kernel', shape: [1024], kind: 'trainable' },
];

const specs: [string, RunSpec][] = [
  ['adam and fp16', makeSpec()],
  ...(['fp32', 'int8', 'topk', 'sign'] as CodecName[]).map((codec): [string, RunSpec] => [
    `momentum and ${codec}`,
    makeSpec({
      codec,
      optimizer: optimizerSpec('momentum', 1e-2),
      tensors: LARGE,
      ...(codec === 'topk' ? { topKPercent: 10 } : {}),
    }),
  ]),
  [
    'sgd and topk of few elements',
    makeSpec({ codec: 'topk', topKPercent: 2, optimizer: optimizerSpec('sgd', 1e-2), tensors: LARGE }),
  ],
];

const flips: fc.Arbitrary<FlippedBit> = fc.record({
  block: fc.integer({ min: 0, max: LARGE.length - 1 }),
  array: fc.nat(11),
  element: fc.nat(2000),
  bit: fc.nat(31),
});

/** A primary and its whole backup after so many steps. */
function begun(spec: RunSpec, steps: number) {
  const primary = new Primary(spec);
  const replica = newReplica(spec);
  primary.place(1);
  const deliver = () => primary.wire(1).deliver(replica);
  for (let step = -1; step < steps; step++) for (const _ of primary.step(step)) while (deliver());
  return { primary, replica, deliver };
}

for (const [title, spec] of specs) {
  test(`${title}: a bit that changes between two steps is told by block, version and array, and is mended before the next step ends`, (t) => {
    fc.assert(
      fc.property(flips, fc.integer({ min: 1, max: STEPS - 1 }), (flip, before) => {
        const { primary, replica, deliver } = begun(spec, before);
        const { version } = primary.shard.stateOf(flip.block);
        const name = flipBit(replica.shard, flip);
        for (const _ of primary.step(before)) while (deliver());
        t.deepEqual(primary.diverged, [{ block: flip.block, version, arrays: [name] }]);
        t.deepEqual(bitsOf(replica.shard), bitsOf(primary.shard));
        t.is(replica.step, primary.shard.step);
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  test(`${title}: whenever bits change, and however late the backup answers, it is equal two steps later`, (t) => {
    const expected = bitsOf(begun(spec, STEPS).primary.shard);
    const moments = fc.record({
      flips: fc.array(flips, { minLength: 1, maxLength: 3 }),
      at: fc.nat(12),
      moves: fc.array(fc.nat(3), { maxLength: 60 }),
    });
    fc.assert(
      fc.property(moments, ({ flips: all, at, moves }) => {
        const { primary, replica, deliver } = begun(spec, 1);
        const next = moves.values();
        let messages = 0;
        for (let step = 1; step < STEPS; step++) {
          for (const _ of primary.step(step)) {
            if (messages++ === at) for (const flip of all) flipBit(replica.shard, flip);
            for (let left = next.next().value ?? 1; left > 0; left--) deliver();
          }
          // Workers go on when the copy has everything; what was mended may come later.
          while (!primary.copies.isDrained) deliver();
        }
        while (deliver());
        for (const { block } of primary.diverged) t.true(all.some((flip) => flip.block === block));
        t.deepEqual(bitsOf(replica.shard), expected);
        t.deepEqual(bitsOf(primary.shard), expected);
      }),
      { seed: 2, numRuns: 60 },
    );
  });
}

test('copies that are equal are never told of, nor sent again', (t) => {
  for (const [title, spec] of specs) {
    const { primary } = begun(spec, STEPS);
    t.deepEqual(primary.diverged, [], title);
  }
});

test('a bit that changes in the primary is what all go on with: the copy is made equal to it', (t) => {
  const { primary, replica, deliver } = begun(makeSpec(), 2);
  const name = flipBit(primary.shard, { block: 0, array: 1, element: 3, bit: 20 });
  for (const _ of primary.step(2)) while (deliver());
  t.deepEqual(primary.diverged, [{ block: 0, version: 2, arrays: [name] }]);
  t.deepEqual(bitsOf(replica.shard), bitsOf(primary.shard));
});

test('a mended block does not go back to what was wrong before: the step is taken back by copying anew', (t) => {
  const spec = makeSpec({ elastic: true });
  const { primary, replica, deliver } = begun(spec, 1);
  const before = bitsOf(primary.shard);
  flipBit(replica.shard, { block: 0, array: 0, element: 1, bit: 12 });
  // The update of the step comes to the wrong values, which the copy keeps, to be able to go back to them.
  const sends = sendsOf(spec, primary.shard, 1);
  for (const send of sends.slice(0, spec.workers + spec.workers)) primary.copies.emit(send());
  while (deliver());
  t.is(primary.diverged.length, 1);
  t.deepEqual(bitsOf(replica.shard), bitsOf(primary.shard));
  const next = { number: 2, fromStep: 1, spec, members: [0], withdraws: true };
  primary.copies.emit(primary.shard.change(next));
  t.deepEqual(bitsOf(primary.shard), before);
  const wire = primary.wire(1);
  const error = t.throws(
    () => {
      while (wire.deliver(replica));
    },
    { instanceOf: Refused },
  ) as Refused;
  t.regex(error.sentence, /block 0 .*copy it again/);
  wire.emit('data', { refusal: { sentence: error.sentence } });
  t.not(primary.wire(1), wire);
  while (deliver());
  t.deepEqual(bitsOf(replica.shard), before);
});

test('an answer that nobody has asked for ends the stream, and the copy is made anew', (t) => {
  const { primary, replica, deliver } = begun(makeSpec(), 1);
  const wire = primary.wire(1);
  wire.emit('data', { compared: { block: 0, version: 1, checksums: [] } });
  t.not(primary.wire(1), wire);
  for (const _ of primary.step(1)) while (deliver());
  t.deepEqual(primary.diverged, []);
  t.deepEqual(bitsOf(replica.shard), bitsOf(primary.shard));
});

test('a step compares whole blocks until it is enough, in turn: none twice before all have been', (t) => {
  const tensors = Array.from({ length: 7 }, (_, at): RunSpec['tensors'][number] => ({
    name: `t${at}`,
    shape: [at < 3 ? 2 ** 18 : 2 ** 16],
    kind: at === 6 ? 'frozen' : 'trainable',
  }));
  const spec = makeSpec({ tensors });
  const shard = newShard(spec);
  t.deepEqual(new Rounds(shard).take(), []);
  for (const send of sendsOf(spec, shard, -1)) send();
  const rounds = new Rounds(shard);
  const taken: number[][] = [];
  while (taken.flat().length < 2 * tensors.length) taken.push(rounds.take().map(({ block }) => block));
  // Values and both slots of Adam: 3 MiB in a large block, 768 KiB in a small one, 256 KiB in one that is frozen.
  t.deepEqual(taken, [
    [0, 1],
    [2, 3, 4],
    [5, 6, 0],
    [1, 2],
    [3, 4, 5, 6, 0],
  ]);
  t.is(COMPARED_STEP_BYTES, 2 ** 22);
});

test('what the workers hold is not compared before it has moved with the last update', (t) => {
  const [, spec] = specs[2];
  const shard = newShard(spec);
  for (let step = -1; step < 1; step++) for (const send of sendsOf(spec, shard, step)) send();
  const settled = () => new Rounds(shard).take().map(({ block }) => block);
  t.deepEqual(settled(), [1, 2, 3]);
  shard.encodeUpdate(0);
  t.deepEqual(settled(), [0, 1, 2, 3]);
});

test('a copy whose numbers are not finite any more is mended like any other', (t) => {
  const [, spec] = specs[2];
  const { primary, replica, deliver } = begun(spec, 1);
  const values = (each: Replica['shard']) => each.stateOf(0).arrays.get('values') as Float32Array;
  values(replica.shard)[7] = Number.POSITIVE_INFINITY;
  for (let step = 1; step < 3; step++) for (const _ of primary.step(step)) while (deliver());
  t.is(primary.diverged.length, 1);
  t.deepEqual(bitsOf(replica.shard), bitsOf(primary.shard));
});
