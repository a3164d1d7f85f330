import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import sharp from 'sharp';
import { type Dataset, openDataset } from '../../../worker/data/dataset.js';
import { imagePixels, pack, png, refused, TREE, temporaryFolder, write, writeTree } from './samples.js';

/** The tree's images as they must be numbered: by class, then by file name. */
const NUMBERED = {
  train: ['train/ant/a.png', 'train/ant/b.png', 'train/bee/x.png', 'train/bee/y.PNG', 'train/bee/z.png'],
  test: ['test/ant/r.png', 'test/bee/q.png'],
};

function holdsTree(dataset: Dataset): boolean {
  return (['train', 'test'] as const).every((split) => {
    const { features, labels } = dataset.read(split, [...NUMBERED[split].keys()]);
    const pixels = Buffer.concat(NUMBERED[split].map((path) => imagePixels(path)));
    const expected = NUMBERED[split].map((path) => (path.includes('/ant/') ? 0 : 1));
    return pixels.equals(features) && [...labels].join() === expected.join();
  });
}

test('a folder of images gives their pixels, classes and splits', async (t) => {
  const folder = temporaryFolder(t);
  const data = await writeTree(join(folder, 'data'));
  write(data, 'train/.DS_Store', 'left by a file manager');
  write(data, 'README.md', 'beside the splits');
  const dataset = await openDataset({ data, cacheDir: join(folder, 'cache') });
  t.is(dataset.name, 'images');
  t.deepEqual(dataset.classes, ['ant', 'bee']);
  t.deepEqual(dataset.shape, [4, 6, 3]);
  t.deepEqual(dataset.splits, { train: 5, test: 2 });
  t.true(holdsTree(dataset));
  await dataset.close();
});

for (const [name, gzip, inside] of [
  ['a .tar.gz', true, ''],
  ['a .tar', false, ''],
  ['a .tar.gz with a folder around it', true, 'pictures/of'],
] as const) {
  test(`${name} of images gives the same records as the folder`, async (t) => {
    const folder = temporaryFolder(t);
    await writeTree(join(folder, 'data', inside));
    const archive = await pack(join(folder, 'data'), join(folder, 'archive'), gzip);
    const dataset = await openDataset({ data: archive, cacheDir: join(folder, 'cache') });
    t.true(holdsTree(dataset));
    await dataset.close();
  });
}

test('greyscale, transparent, 16-bit and JPEG images all become three bytes a pixel', async (t) => {
  const folder = temporaryFolder(t);
  const data = await writeTree(join(folder, 'data'), [
    'train/a/1.png',
    'train/b/1.png',
    'test/a/1.png',
    'test/b/1.png',
  ]);
  const grey = { create: { width: 6, height: 4, channels: 3 as const, background: { r: 90, g: 90, b: 90 } } };
  write(data, 'train/a/2.png', await sharp(grey).toColourspace('b-w').png().toBuffer());
  const clear = {
    create: { width: 6, height: 4, channels: 4 as const, background: { r: 9, g: 8, b: 7, alpha: 0.5 } },
  };
  write(data, 'train/a/3.png', await sharp(clear).png().toBuffer());
  write(data, 'train/a/4.png', await sharp(grey).toColourspace('rgb16').png().toBuffer());
  write(data, 'train/a/5.jpeg', await sharp(grey).jpeg({ quality: 100 }).toBuffer());
  const dataset = await openDataset({ data, cacheDir: join(folder, 'cache') });
  const { features } = dataset.read('train', [1, 2, 3, 4]);
  const pixel = (record: number) => [...features.subarray(record * 72, record * 72 + 3)];
  t.deepEqual(pixel(0), [90, 90, 90]);
  t.deepEqual(pixel(1), [9, 8, 7]);
  t.deepEqual(pixel(2), [90, 90, 90]);
  t.true(pixel(3).every((value) => Math.abs(value - 90) <= 1));
  await dataset.close();
});

const broken: [string, (data: string) => Promise<void> | void, string[]][] = [
  [
    'an image that does not decode',
    (data) => write(data, 'train/bee/x.png', 'no image'),
    ['train/bee/x.png does not decode', 'expected a whole JPEG or PNG'],
  ],
  [
    'a truncated image',
    async (data) => write(data, 'train/bee/x.png', (await png('x')).subarray(0, 70)),
    ['train/bee/x.png does not decode'],
  ],
  ['an empty image', (data) => write(data, 'train/bee/x.png', ''), ['train/bee/x.png does not decode']],
  [
    'an image of another size',
    async (data) => write(data, 'train/bee/x.png', await png('x', 5, 7)),
    ['train/bee/x.png is 5 × 7 pixels', 'expected 6 × 4'],
  ],
  [
    'an image with too many pixels',
    async (data) =>
      write(
        data,
        'train/bee/x.png',
        await sharp({ create: { width: 1400, height: 1400, channels: 3, background: 'red' } })
          .png()
          .toBuffer(),
      ),
    ['train/bee/x.png does not decode', 'more than 1398101 pixels'],
  ],
  [
    'an empty class',
    (data) => {
      mkdirSync(join(data, 'train/cow'));
      mkdirSync(join(data, 'test/cow'));
    },
    ['the class cow has no images in train/cow'],
  ],
  [
    'a tree without a test split',
    (data) => rmSync(join(data, 'test'), { recursive: true }),
    ['has no test split', 'test/<class>/'],
  ],
  [
    'a tree without a train split',
    (data) => rmSync(join(data, 'train'), { recursive: true }),
    ['has no train split'],
  ],
  [
    'a class that only one split has',
    async (data) => write(data, 'test/cow/1.png', await png('cow')),
    ['train and test differ in their classes', 'only test has cow'],
  ],
  [
    'a file that is no image',
    (data) => write(data, 'train/ant/notes.txt', 'x'),
    ['train/ant/notes.txt is no .jpg, .jpeg or .png'],
  ],
  [
    'an image outside of a class',
    async (data) => write(data, 'train/stray.png', await png('s')),
    ['train/stray.png lies outside of a class folder'],
  ],
  [
    'an image too deep',
    async (data) => write(data, 'train/ant/more/1.png', await png('s')),
    ['lies too deep', 'train/<class>/<image>'],
  ],
  [
    'a file that cannot be read',
    (data) => symlinkSync('/nonexistent/there', join(data, 'train/ant/c.png')),
    ['cannot read', 'train/ant/c.png', 'check the path'],
  ],
];

for (const [what, breakIt, fragments] of broken) {
  test(`${what} is refused by name`, async (t) => {
    const folder = temporaryFolder(t);
    const data = await writeTree(join(folder, 'data'));
    await breakIt(data);
    await refused(t, openDataset({ data, cacheDir: join(folder, 'cache') }), data, ...fragments);
  });
}

test('a tree with one class is refused', async (t) => {
  const folder = temporaryFolder(t);
  const data = await writeTree(
    join(folder, 'data'),
    TREE.filter((path) => path.includes('/ant/')),
  );
  await refused(t, openDataset({ data, cacheDir: join(folder, 'cache') }), 'has 1 class (ant)', 'expected 2');
});

test('what failed once is read again when it was mended', async (t) => {
  const folder = temporaryFolder(t);
  const data = await writeTree(join(folder, 'data'));
  write(data, 'train/bee/x.png', 'no image');
  const cacheDir = join(folder, 'cache');
  await refused(t, openDataset({ data, cacheDir }), 'x.png');
  write(data, 'train/bee/x.png', await png('train/bee/x.png'));
  const dataset = await openDataset({ data, cacheDir });
  t.true(holdsTree(dataset));
  await dataset.close();
});
