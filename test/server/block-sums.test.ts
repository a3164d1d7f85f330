// Where the sums of blocks lie; and sums of few elements: which blocks have them, and that of many workers no more are
// listed than there is room for.
import test from 'ava';
import { releaseSum, sumAsArray } from '../../server/block-sums.js';
import { ShardBlocks } from '../../server/shard-blocks.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { codecsOf } from '../../shared/run/block-codecs.js';
import { layoutOf } from '../../shared/run/spec.js';
import { finiteHeader, firstBulkOf, makeShards, makeSpec, valuesOf } from '../helpers/shards.js';

const LEARNING_RATE = 0.5;

for (const workers of [1, 60, 200])
  test(`${workers} workers that send one element each change these alone, however few are a percentage`, (t) => {
    const spec = makeSpec({
      codec: 'topk',
      topKPercent: 0.01,
      workers,
      optimizer: optimizerSpec('sgd', LEARNING_RATE),
      tensors: [
        { name: 'first', shape: [1024], kind: 'trainable' },
        { name: 'second', shape: [1024], kind: 'trainable' },
      ],
    });
    const [shard] = makeShards(spec, 1).shards;
    const [codec] = codecsOf(spec, layoutOf(spec).blocks, 'up', 0);
    const before = [0, 1].map((block) => valuesOf(shard, block));
    for (let worker = 0; worker < workers; worker++) shard.header(worker, 0, finiteHeader);
    for (let worker = 0; worker < workers; worker++) {
      const gradient = new Float32Array(1024);
      gradient[5 * worker + 3] = finiteHeader.samples * workers;
      shard.contribution(worker, firstBulkOf(0, 0, codec, gradient));
    }
    const after = [0, 1].map((block) => valuesOf(shard, block));
    const moved = after[0].map((value, i) => before[0][i] - value);
    for (const [i, by] of moved.entries()) {
      const isSent = i % 5 === 3 && i < 5 * workers;
      // One of so many workers has sent it, and so many times the samples of a header.
      const expected = isSent ? LEARNING_RATE * finiteHeader.samples : 0;
      t.true(Math.abs(by - expected) <= (isSent ? 1e-5 : 0), `element ${i} moved by ${by}`);
    }
    t.deepEqual(after[1], before[1]);
  });

test('a sum lies where the last one lay; those that are summed at once, or sent to copies, have places of their own', (t) => {
  const spec = makeSpec({
    workers: 1,
    codec: 'fp32',
    optimizer: optimizerSpec('sgd', LEARNING_RATE),
    tensors: ['a', 'b', 'c'].map((name) => ({ name, shape: [64], kind: 'trainable' as const })),
  });
  const probe = { now: () => 0, phase: () => undefined };
  const blocks = new ShardBlocks(spec, layoutOf(spec), [0, 1, 2], probe, 0);
  const at = (block: number) => blocks.state(block).memory.accumulator;
  const payload = blocks.map.incoming;
  const sum = (block: number, value: number, first = true) => {
    blocks.kernels.f32(payload, 64).fill(value);
    blocks.sum(block, payload, 1, 1, first);
  };
  for (const block of [0, 1, 2]) {
    blocks.kernels.f32(blocks.state(block).memory.values, 64).fill(0);
    blocks.begin(block);
    t.is(at(block), -1);
  }
  sum(0, 1);
  const place = at(0);
  blocks.apply(0, 1);
  t.is(at(0), -1);
  sum(1, 2);
  t.is(at(1), place);
  // Begun while block 1 is under way; block 2 is dropped and begun anew where it was.
  sum(2, 100);
  const other = at(2);
  t.not(other, place);
  sum(2, 3);
  t.is(at(2), other);
  sum(1, 4, false);
  blocks.apply(1, 1);
  // From now on copies are told of sums: they stay until these have been sent.
  blocks.onSum = () => undefined;
  blocks.apply(2, 1);
  t.is(at(2), other);
  t.true(new Float32Array(sumAsArray(blocks, blocks.state(2)).slice().buffer).every((value) => value === 3));
  sum(0, 5);
  t.not(at(0), other);
  releaseSum(blocks, blocks.state(2));
  t.is(at(2), -1);
  const values = [0, 1, 2].map((block) => blocks.kernels.f32(blocks.state(block).memory.values, 64)[63]);
  t.deepEqual(
    values,
    [-1, -6, -3].map((value) => LEARNING_RATE * value),
  );
});
