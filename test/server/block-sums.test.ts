// Sums of few elements: which blocks have them, and that of many workers no more are listed than there is room for.
import test from 'ava';
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
      t.true(isSent ? by > 1 && Math.abs(by - moved[3]) < 1e-4 : by === 0, `element ${i} moved by ${by}`);
    }
    t.deepEqual(after[1], before[1]);
  });
