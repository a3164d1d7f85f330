import { createHash } from 'node:crypto';
import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { GENERATED_DATASETS_MAX } from '../../../shared/limits.js';
import { openDataset } from '../../../worker/data/dataset.js';
import { GENERATED_SIZE, generatedIdentity } from '../../../worker/data/generated.js';
import { drawShape, noiseTable, SHAPES } from '../../../worker/data/shapes.js';
import { temporaryFolder, write } from './samples.js';

const noise = noiseTable(1);

function draw(index: number, shape = index % SHAPES.length, seed = 1): Uint8Array {
  const pixels = new Uint8Array(3072);
  drawShape(pixels, seed, 'train', index, shape, noise);
  return pixels;
}

test('without a path there are ten classes of shapes, balanced, in both splits', async (t) => {
  const generated = { batches: 2, recordsPerBatch: 60, testRecords: 40 };
  const dataset = await openDataset({ cacheDir: join(temporaryFolder(t), 'cache'), generated });
  t.is(dataset.name, 'shapes');
  t.deepEqual(dataset.classes, [...SHAPES]);
  t.deepEqual(dataset.shape, [32, 32, 3]);
  t.deepEqual(dataset.splits, { train: 120, test: 40 });
  for (const [split, each] of [
    ['train', 12],
    ['test', 4],
  ] as const) {
    const { labels } = dataset.read(split, [...Array(dataset.splits[split]).keys()]);
    for (let label = 0; label < 10; label++) t.is(labels.filter((found) => found === label).length, each);
  }
  await dataset.close();
});

test('what a killed process left of a file is cleared away', async (t) => {
  const cacheDir = join(temporaryFolder(t), 'cache');
  const generated = { batches: 1, recordsPerBatch: 20, testRecords: 10 };
  const folder = join('generated', generatedIdentity(generated));
  write(cacheDir, join(folder, '.data_batch_1.bin.someone'), 'half');
  write(cacheDir, join(folder, 'test_batch.bin'), 'a size that cannot be');
  const dataset = await openDataset({ cacheDir, generated });
  t.is(dataset.splits.test, 10);
  t.deepEqual(readdirSync(join(cacheDir, folder)).sort(), [
    'batches.meta.txt',
    'data_batch_1.bin',
    'test_batch.bin',
  ]);
  await dataset.close();
});

test('files of generated datasets that nobody has asked for of late give way, and nothing else', async (t) => {
  const cacheDir = join(temporaryFolder(t), 'cache');
  const sizeOf = (batches: number) => ({ batches, recordsPerBatch: 10, testRecords: 10 });
  const parent = join(cacheDir, 'generated');
  // Older than everything that is made below.
  for (const [name, year] of [
    ['of-somebody-else', 2001],
    ['shapes-v0-8x2000-4000', 2002],
    [generatedIdentity(sizeOf(2)), 2003],
    [generatedIdentity(sizeOf(3)), 2004],
  ] as const) {
    write(parent, join(name, 'file'), 'old');
    utimesSync(join(parent, name), new Date(`${year}`), new Date(`${year}`));
  }
  await (await openDataset({ cacheDir, generated: sizeOf(1) })).close();
  const kept = (...batches: number[]) =>
    ['of-somebody-else', ...batches.map((count) => generatedIdentity(sizeOf(count)))].sort();
  t.deepEqual(readdirSync(parent).sort(), kept(1, 2, 3));
  // What is asked for again is not the oldest any more.
  await (await openDataset({ cacheDir, generated: sizeOf(2) })).close();
  await (await openDataset({ cacheDir, generated: sizeOf(4) })).close();
  t.deepEqual(readdirSync(parent).sort(), kept(1, 2, 4));
  t.is(GENERATED_DATASETS_MAX, 3);
});

test('the pictures are the same on every machine: change the version when this changes', (t) => {
  const hash = createHash('sha256');
  for (let index = 0; index < 50; index++) hash.update(draw(index));
  t.is(hash.digest('hex'), '2c8840bb9ab2e38e576034ded84d8e045f008a09c867ca15d0b0c5ba40915c54');
});

test('a picture depends on nothing but seed, split and index', (t) => {
  const before = draw(7);
  for (const index of [3, 9, 1]) draw(index);
  t.deepEqual(draw(7), before);
  t.notDeepEqual(draw(7, 7, 2), before);
  const other = new Uint8Array(3072);
  drawShape(other, 1, 'test', 7, 7, noise);
  t.notDeepEqual(other, before);
});

test('what is generated has another identity when there is more of it', (t) => {
  t.not(generatedIdentity(GENERATED_SIZE), generatedIdentity({ ...GENERATED_SIZE, batches: 9 }));
});

test('neither brightness nor a linear model tells the classes', (t) => {
  const train = 1500;
  const test = 600;
  const pictures = Array.from({ length: train + test }, (_, index) => draw(index));
  // Softmax regression by plain stochastic gradient descent on pixels in [-0.5, 0.5].
  const weights = Array.from({ length: 10 }, () => new Float64Array(3073));
  const scores = (x: Uint8Array) =>
    weights.map((w) => {
      let sum = w[3072];
      for (let i = 0; i < 3072; i++) sum += w[i] * (x[i] / 255 - 0.5);
      return sum;
    });
  for (let epoch = 0; epoch < 4; epoch++) {
    for (let index = 0; index < train; index++) {
      const x = pictures[index];
      const exp = scores(x).map(Math.exp);
      const sum = exp.reduce((a, b) => a + b, 0);
      for (let label = 0; label < 10; label++) {
        const error = 0.002 * (exp[label] / sum - (label === index % 10 ? 1 : 0));
        const w = weights[label];
        for (let i = 0; i < 3072; i++) w[i] -= error * (x[i] / 255 - 0.5);
        w[3072] -= error;
      }
    }
  }
  let right = 0;
  for (let index = train; index < train + test; index++) {
    const found = scores(pictures[index]);
    if (found.indexOf(Math.max(...found)) === index % 10) right++;
  }
  t.true(right / test < 0.6, `linear accuracy ${right / test}`);
  const means = SHAPES.map((_, label) => {
    const mine = pictures.filter((_, index) => index % 10 === label);
    return mine.reduce((sum, x) => sum + x.reduce((a, b) => a + b, 0) / 3072, 0) / mine.length;
  });
  t.true(Math.max(...means) - Math.min(...means) < 20, `mean brightness by class: ${means}`);
});
