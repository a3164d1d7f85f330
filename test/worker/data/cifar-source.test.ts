import { rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openDataset } from '../../../worker/data/dataset.js';
import { cifarRecord, holdsCifar, pack, refused, temporaryFolder, write, writeCifar } from './samples.js';

test('a folder of batches gives every record, interleaved, with its label', async (t) => {
  const folder = temporaryFolder(t);
  const dataset = await openDataset({
    data: writeCifar(join(folder, 'data')),
    cacheDir: join(folder, 'cache'),
  });
  t.is(dataset.name, 'cifar10');
  t.deepEqual(dataset.classes, ['cat', 'dog', 'emu']);
  t.deepEqual(dataset.shape, [32, 32, 3]);
  t.deepEqual(dataset.splits, { train: 900, test: 270 });
  t.true(holdsCifar(dataset));
  const { features, labels } = dataset.read('test', [7, 3]);
  const planar = cifarRecord('test', 7, 3);
  t.deepEqual([...labels], [7 % 3, 0]);
  t.deepEqual([...features.subarray(0, 3)], [planar[1], planar[1 + 1024], planar[1 + 2048]]);
  t.throws(() => dataset.read('test', [270]), { instanceOf: RangeError, message: /0 to 269, not 270/ });
  t.is(dataset.recordsRead, 1170 + 2);
  await dataset.close();
});

test('the batches come in the order of their numbers, not of their names', async (t) => {
  const folder = temporaryFolder(t);
  const shape = { train: [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3], test: 3, classes: ['a', 'b', 'c'] };
  const dataset = await openDataset({
    data: writeCifar(join(folder, 'data'), shape),
    cacheDir: join(folder, 'c'),
  });
  t.true(holdsCifar(dataset, shape));
  await dataset.close();
});

for (const gzip of [true, false]) {
  test(`the archive as it is downloaded (${gzip ? '.tar.gz' : '.tar'}) gives the same records`, async (t) => {
    const folder = temporaryFolder(t);
    writeCifar(join(folder, 'data', 'cifar-10-batches-bin'));
    const archive = await pack(join(folder, 'data'), join(folder, gzip ? 'c.tar.gz' : 'c.tar'), gzip);
    const dataset = await openDataset({ data: archive, cacheDir: join(folder, 'cache') });
    t.is(dataset.name, 'cifar10');
    t.true(holdsCifar(dataset));
    await dataset.close();
  });
}

const broken: [string, (folder: string) => void, string[]][] = [
  [
    'a truncated batch',
    (folder) => truncateSync(join(folder, 'data_batch_2.bin'), 5000),
    ['data_batch_2.bin has 5000 bytes', 'multiple of 3073', 'download it again'],
  ],
  [
    'an empty batch',
    (folder) => truncateSync(join(folder, 'data_batch_2.bin'), 0),
    ['data_batch_2.bin has 0 bytes', 'multiple of 3073'],
  ],
  [
    'a label out of range',
    (folder) => {
      const record = cifarRecord('train', 0, 3);
      record[0] = 3;
      write(folder, 'data_batch_1.bin', Buffer.concat([cifarRecord('train', 0, 3), record]));
    },
    ['data_batch_1.bin: record 1 has the label 3', 'expected 0 to 2'],
  ],
  [
    'a missing test batch',
    (folder) => rmSync(join(folder, 'test_batch.bin')),
    ['has no test_batch.bin', 'expected a test split'],
  ],
  [
    'missing training batches',
    (folder) => {
      rmSync(join(folder, 'data_batch_1.bin'));
      rmSync(join(folder, 'data_batch_2.bin'));
    },
    ['has no data_batch_1.bin'],
  ],
  [
    'missing names of classes',
    (folder) => rmSync(join(folder, 'batches.meta.txt')),
    ['batches.meta.txt is missing', 'one a line'],
  ],
  ['a class named twice', (folder) => write(folder, 'batches.meta.txt', 'a\nb\na\n'), ['the class a twice']],
  ['one class only', (folder) => write(folder, 'batches.meta.txt', 'a\n'), ['names 1 classes', '2 to 256']],
  [
    'names of classes that are no such list',
    (folder) => write(folder, 'batches.meta.txt', Buffer.alloc(300_000)),
    ['300000 bytes', 'batches.meta.txt'],
  ],
  [
    'batches in two folders',
    (folder) => write(folder, 'copy/test_batch.bin', cifarRecord('test', 0, 3)),
    ['CIFAR batches in 2 folders', 'expected one'],
  ],
];

for (const [what, breakIt, fragments] of broken) {
  test(`${what} is refused by name`, async (t) => {
    const folder = temporaryFolder(t);
    const data = writeCifar(join(folder, 'data'));
    breakIt(data);
    await refused(t, openDataset({ data, cacheDir: join(folder, 'cache') }), data, ...fragments);
  });
}
