import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { type Dataset, openDataset } from '../../../worker/data/dataset.js';
import { createDealer, equalShares } from '../../../worker/data/dealer.js';
import { type Batch, createLoader } from '../../../worker/data/loader.js';
import { temporaryFolder, writeCifar } from './samples.js';

const SHAPE = { train: [50, 30], test: 23, classes: ['a', 'b', 'c'] };

async function dataset(t: ExecutionContext): Promise<Dataset> {
  const folder = temporaryFolder(t);
  const opened = await openDataset({
    data: writeCifar(join(folder, 'data'), SHAPE),
    cacheDir: join(folder, 'c'),
  });
  t.teardown(() => opened.close());
  return opened;
}

function isExactly(
  batch: Batch,
  from: Dataset,
  split: 'train' | 'test',
  indices: ArrayLike<number>,
): boolean {
  const { features, labels } = from.read(split, indices);
  return (
    batch.count === indices.length &&
    batch.shape.join() === [indices.length, 32, 32, 3].join() &&
    batch.x.length === features.length &&
    batch.x.every((value, i) => value === Math.fround(features[i] / 255)) &&
    batch.labels.join() === labels.join()
  );
}

test('a batch has the records that the dealer says, scaled to [0, 1]', async (t) => {
  const data = await dataset(t);
  const dealer = createDealer(data.splits.train, 16, 9);
  const loader = createLoader(data, dealer);
  const view = { weights: [2, 1] };
  for (let epoch = 0; epoch < 2; epoch++) {
    for (let step = 0; step < dealer.stepsPerEpoch; step++) {
      for (const rank of [0, 1]) {
        const batch = loader.batch({ epoch, step, view, rank });
        t.true(isExactly(batch, data, 'train', dealer.batch(epoch, step, view, rank)));
        if (step % 2 === 0) await turn();
      }
    }
  }
  loader.close();
});

test('the next batch is there before it is asked for, over the end of an epoch too', async (t) => {
  const data = await dataset(t);
  const dealer = createDealer(data.splits.train, 16, 9);
  const loader = createLoader(data, dealer);
  const view = equalShares(2);
  for (let epoch = 0; epoch < 3; epoch++) {
    for (let step = 0; step < dealer.stepsPerEpoch; step++) {
      const batch = loader.batch({ epoch, step, view, rank: 1 });
      const kept = batch.x.slice();
      await turn();
      t.deepEqual(batch.x, kept, 'the prefetch leaves the batch in use alone');
      t.true(isExactly(batch, data, 'train', dealer.batch(epoch, step, view, 1)));
    }
  }
  t.deepEqual(loader.counts, { ready: 3 * dealer.stepsPerEpoch - 1, late: 1 });
  loader.close();
});

test('a change of the view throws the prefetched batch away', async (t) => {
  const data = await dataset(t);
  const dealer = createDealer(data.splits.train, 16, 9);
  const loader = createLoader(data, dealer);
  loader.batch({ epoch: 0, step: 0, view: equalShares(2), rank: 0 });
  await turn();
  for (const [step, workers] of [
    [1, 3],
    [2, 1],
    [3, 4],
  ]) {
    const view = equalShares(workers);
    const batch = loader.batch({ epoch: 0, step, view, rank: 0 });
    await turn();
    t.true(isExactly(batch, data, 'train', dealer.batch(0, step, view, 0)));
  }
  t.deepEqual(loader.counts, { ready: 0, late: 4 });
  loader.close();
});

test('buffers are used again', async (t) => {
  const data = await dataset(t);
  const dealer = createDealer(data.splits.train, 16, 9);
  const loader = createLoader(data, dealer);
  const buffers = new Set<ArrayBufferLike>();
  for (let step = 0; step < 20; step++) {
    const place = { epoch: Math.floor(step / 5), step: step % 5, view: equalShares(1), rank: 0 };
    buffers.add(loader.batch(place).x.buffer);
    await turn();
  }
  t.is(buffers.size, 2);
  loader.close();
});

test('the evaluation visits every record once over all workers, the last batch being smaller', async (t) => {
  const data = await dataset(t);
  const loader = createLoader(data, createDealer(data.splits.train, 16, 9));
  const sizes: number[][] = [];
  let next = 0;
  for (const rank of [0, 1]) {
    sizes.push([]);
    for (const batch of loader.evaluation('test', 5, equalShares(2), rank)) {
      const indices = Array.from({ length: batch.count }, (_, i) => next + i);
      t.true(isExactly(batch, data, 'test', indices));
      sizes[rank].push(batch.count);
      next += batch.count;
    }
  }
  t.deepEqual(sizes, [
    [5, 5, 2],
    [5, 5, 1],
  ]);
  t.is(next, 23);
});

test('a prefetch that fails is reported where its batch is asked for', async (t) => {
  const data = await dataset(t);
  let fail = false;
  const failing: Dataset = {
    ...data,
    recordsRead: 0,
    visit(...args) {
      if (fail) throw new RangeError('no such record');
      data.visit(...args);
    },
  };
  const loader = createLoader(failing, createDealer(data.splits.train, 16, 9));
  const place = { epoch: 0, step: 0, view: equalShares(1), rank: 0 };
  loader.batch(place);
  fail = true;
  await turn();
  t.throws(() => loader.batch({ ...place, step: 1 }), { message: 'no such record' });
  fail = false;
  t.is(loader.batch({ ...place, step: 1 }).count, 16);
  loader.close();
});
