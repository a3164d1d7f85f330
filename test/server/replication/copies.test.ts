// The primary's side of its copies: nothing leaves before every backup has it, in the order in which it was done.
import test from 'ava';
import fc from 'fast-check';
import type { Replica } from '../../../server/replication/replica.js';
import { stateBytes } from '../../../server/shard-memory.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { layoutOf } from '../../../shared/run/spec.js';
import { bitsOf, newReplica, Primary } from '../../helpers/replication.js';
import { makeSpec } from '../../helpers/shards.js';

const STEPS = 2;
const spec = makeSpec();

/** A primary with first values, which all copies have. */
function begun(servers: readonly number[]) {
  const primary = new Primary(spec);
  const replicas = new Map(servers.map((server) => [server, newReplica(spec)]));
  primary.place(...servers);
  const deliver = (server: number) => primary.wire(server).deliver(replicas.get(server) as Replica);
  const deliverAll = () => {
    while (servers.map(deliver).includes(true));
  };
  for (const _ of primary.step(-1)) deliverAll();
  primary.left.length = 0;
  return { primary, replicas, deliver, deliverAll };
}

/** Every effect of the steps on a shard without copies, in order. */
function alone(): string[] {
  const { primary } = begun([]);
  for (let step = 0; step < STEPS; step++) for (const _ of primary.step(step)) void _;
  return primary.left.map((effect) => JSON.stringify(effect));
}

test('whatever comes when: what leaves is on every copy, and leaves in the order in which it was done', (t) => {
  const expected = alone();
  fc.assert(
    fc.property(fc.array(fc.constantFrom(1, 2, 1, 2, 3), { maxLength: 400 }), (moves) => {
      const { primary, replicas, deliver, deliverAll } = begun([1, 2]);
      const next = moves.values();
      for (let step = 0; step < STEPS; step++)
        for (const _ of primary.step(step)) {
          for (let move = next.next(); !move.done && move.value !== 3; move = next.next())
            deliver(move.value);
          for (const effect of primary.left)
            for (const { shard } of effect.kind === 'ack' ? replicas.values() : [])
              if (effect.kind === 'ack' && shard.stateOf(effect.block).version <= effect.step)
                throw new Error(`step ${effect.step} of block ${effect.block} was acknowledged too early`);
          const left = primary.left.filter(({ kind }) => kind === 'updated').length;
          for (const { shard } of replicas.values()) {
            const updates = [...shard.blockIndices].reduce((sum, at) => sum + shard.stateOf(at).version, 0);
            if (updates < left) throw new Error(`${left} updates have left, a copy has ${updates}`);
          }
        }
      deliverAll();
      t.deepEqual(
        primary.left.map((effect) => JSON.stringify(effect)),
        expected,
      );
      t.true(primary.copies.isDrained);
    }),
    { numRuns: 100, seed: 1 },
  );
});

test('while a copy is cut off nothing leaves; when it is copied anew, or given up, everything does', (t) => {
  for (const isGivenUp of [false, true]) {
    const { primary, replicas, deliverAll } = begun([1, 2]);
    primary.wire(2).emit('end');
    for (const _ of primary.step(0)) while (primary.wire(1).deliver(replicas.get(1) as Replica));
    t.deepEqual(primary.left, []);
    t.deepEqual(primary.copies.waiting().servers, [2]);
    if (isGivenUp) primary.place(1);
    else deliverAll();
    t.true(primary.copies.isDrained);
    t.true(primary.left.some(({ kind }) => kind === 'closed'));
  }
});

test('who takes over copies no block that its other backups have as it has, and the bits are those of before', (t) => {
  const tensors: typeof spec.tensors = Array.from({ length: 4 }, (_, at) => ({
    ...{ name: `t${at}`, shape: [100], kind: 'trainable' },
  }));
  for (const codec of ['fp16', 'int8'] as const) {
    const optimizer = codec === 'int8' ? optimizerSpec('momentum', 1e-2) : spec.optimizer;
    const of = makeSpec({ tensors, codec, optimizer });
    const undisturbed = new Primary(of);
    for (let step = -1; step < 3; step++) for (const _ of undisturbed.step(step)) void _;
    /** How many messages of the step come to the copy that takes over, and to the other, before the primary is gone. */
    for (const [taken, left] of [
      [0, 0],
      [3, 3],
      [1, 4],
      [4, 1],
      [100, 100],
    ]) {
      const first = new Primary(of);
      const [next, other] = [newReplica(of), newReplica(of)];
      first.place(1, 2);
      const drain = (primary: Primary, ...of: [number, Replica][]) => {
        while (of.map(([server, replica]) => primary.wire(server).deliver(replica)).includes(true));
      };
      for (let step = -1; step < 1; step++)
        for (const _ of first.step(step)) drain(first, [1, next], [2, other]);
      for (const _ of first.step(1)) void _;
      for (let at = 0; at < taken; at++) first.wire(1).deliver(next);
      for (let at = 0; at < left; at++) first.wire(2).deliver(other);
      const versions = ({ shard }: Replica) => tensors.map((_, block) => shard.stateOf(block).version);
      const [here, there] = [versions(next), versions(other)];
      const second = new Primary(of, next);
      second.place(2);
      // The workers send again while the other is being compared.
      for (let step = next.step; step < 3; step++) {
        for (const _ of second.step(step)) second.wire(2).deliver(other);
        drain(second, [2, other]);
      }
      const others = here.flatMap((version, block) => (version === there[block] ? [] : [block]));
      t.deepEqual(second.wire(2).copied.sort(), others, `${codec} after ${taken} and ${left} messages`);
      t.deepEqual(bitsOf(second.shard), bitsOf(undisturbed.shard));
      t.deepEqual(bitsOf(other.shard), bitsOf(undisturbed.shard));
      t.is(other.step, 3);
      t.true(second.copies.isDrained);
      t.deepEqual(second.diverged, []);
    }
  }
});

test('a stream that is opened again brings what has changed meanwhile, and no more', (t) => {
  const { primary, replicas, deliverAll } = begun([1]);
  const replica = replicas.get(1) as Replica;
  const all = [...primary.shard.blockIndices];
  primary.wire(1).emit('end');
  deliverAll();
  t.deepEqual(primary.wire(1).copied, []);
  // Cut off while a step is taken: its blocks have changed, frozen ones have not.
  const step = primary.step(0);
  step.next();
  deliverAll();
  const wire = primary.wire(1);
  for (const _ of step) void _;
  wire.emit('end');
  deliverAll();
  const frozen = all.filter((block) => primary.shard.stateOf(block).version === 0);
  t.true(frozen.length > 0);
  t.deepEqual(
    primary.wire(1).copied.toSorted(),
    all.filter((block) => !frozen.includes(block)),
  );
  t.deepEqual(bitsOf(replica.shard), bitsOf(primary.shard));
});

test('the bytes of a copy are known beforehand: all arrays of the blocks of every kind', (t) => {
  for (const codec of ['fp16', 'int8'] as const) {
    const of = makeSpec({
      codec,
      optimizer: optimizerSpec('momentum', 1e-2),
      tensors: [...spec.tensors, { name: 'large', shape: [1024], kind: 'trainable' }],
    });
    const primary = new Primary(of);
    const bytes = [...primary.shard.blockIndices]
      .flatMap((block) => [...primary.shard.stateOf(block).arrays.values()])
      .reduce((sum, { byteLength }) => sum + byteLength, 0);
    const { blocks } = layoutOf(of);
    t.true(new Set(blocks.map(({ kind }) => kind)).size === 3);
    t.is(
      blocks.reduce((sum, block) => sum + stateBytes(block, of.optimizer, codec), 0),
      bytes,
    );
  }
});

test('a server that joins is waited for from when it is whole, and then reported, once', (t) => {
  const { primary, replicas } = begun([1]);
  const joins = { server: 3, address: '3', isBackup: false };
  const backup = { server: 1, address: '1', isBackup: true };
  primary.copies.place([backup, joins]);
  const replica = newReplica(spec);
  for (const _ of primary.step(0)) while (primary.wire(1).deliver(replicas.get(1) as Replica));
  // Nobody has waited for it.
  t.true(primary.copies.isDrained);
  t.deepEqual(primary.reported, []);
  while (primary.wire(3).deliver(replica));
  t.deepEqual(primary.reported, [3]);
  for (const _ of primary.step(1)) while (primary.wire(1).deliver(replicas.get(1) as Replica));
  t.deepEqual(primary.copies.waiting().servers, [3]);
  while (primary.wire(3).deliver(replica));
  t.true(primary.copies.isDrained);
  t.deepEqual(primary.reported, [3]);
});

test('a backup that is given up and chosen again is not waited for until it is whole once more', (t) => {
  const { primary } = begun([1]);
  primary.wire(1).emit('end');
  for (const _ of primary.step(0)) void _;
  t.deepEqual(primary.left, []);
  primary.copies.place([{ server: 1, address: '1', isBackup: false }]);
  t.true(primary.copies.isDrained);
  const replica = newReplica(spec);
  while (primary.wire(1).deliver(replica));
  t.deepEqual(primary.reported, [1]);
});

test('it is known how long steps wait for a backup: since all of them is on its way, and not before', (t) => {
  const { primary, replicas, deliver } = begun([1, 2]);
  const [fast, slow] = [10, 250];
  for (let step = 0; step < STEPS; step++) {
    // While contributions come, nothing is told by how long they take.
    for (const _ of primary.step(step)) {
      primary.nowMs += 1000;
      while (primary.wire(1).length > 1) deliver(1);
      while (primary.wire(2).length > 1) deliver(2);
    }
    primary.nowMs += fast;
    while (deliver(1));
    primary.nowMs += slow - fast;
    while (deliver(2));
  }
  t.true(primary.copies.isDrained);
  const seconds = [...primary.copies.answerSeconds()];
  t.deepEqual(seconds.sort(), [
    [1, (1000 + fast) / 1000],
    [2, (1000 + slow) / 1000],
  ]);
  // One that does not answer is told of by how long it has not.
  const step = primary.step(STEPS);
  step.next();
  for (const _ of step) while (deliver(1));
  primary.nowMs += 60_000;
  t.deepEqual(primary.copies.waiting().servers, [2]);
  t.true((primary.copies.answerSeconds().get(2) as number) >= 60);
  t.is(primary.copies.answerSeconds().get(1), (1000 + fast) / 1000);
  // And one that is given up is not told of any more.
  primary.place(1);
  t.deepEqual([...primary.copies.answerSeconds().keys()], [1]);
  t.is(replicas.size, 2);
});

test('what a step waited for its copies is measured once a step: the longest that anything of it waited', (t) => {
  const { primary, deliverAll } = begun([1]);
  const measured: number[] = [];
  primary.copies.usual.observe = (ms) => void measured.push(ms);
  for (let step = 0; step < 3; step++) {
    for (const _ of primary.step(step)) void _;
    primary.nowMs += 100 * (step + 1);
    deliverAll();
  }
  t.deepEqual(measured, [100, 200, 300]);
});
