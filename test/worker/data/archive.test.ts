import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { UserError } from '../../../shared/errors.js';
import { openDataset } from '../../../worker/data/dataset.js';
import { readImageTree } from '../../../worker/data/image-tree.js';
import {
  pack,
  png,
  refused,
  TREE,
  tarEntry,
  tarFile,
  tarGz,
  temporaryFolder,
  write,
  writeTree,
} from './samples.js';

const image = await png('any');
const tree = TREE.map((path) => tarEntry(path, image));

const archives: [string, Buffer, string[]][] = [
  [
    'a file that is no archive',
    Buffer.from('hello, this is text'),
    ['is no archive', 'expected a .tar, a .tar.gz'],
  ],
  ['an empty file', Buffer.alloc(0), ['is no archive', 'it is empty']],
  [
    'an archive without files',
    Buffer.concat([tarEntry('.', Buffer.alloc(0), { type: '5' }), Buffer.alloc(1024)]),
    ['without files'],
  ],
  ['a gzip file that is no tar', tarGz([Buffer.from('x'.repeat(2000))]), ['damaged']],
  ['a compressed archive cut in the middle', tarGz(tree).subarray(0, 300), ['is truncated', 'make it again']],
  ['an archive cut within a file', tarFile(tree).subarray(0, 700), ['is truncated']],
  ['an archive cut between two files', tarFile(tree.slice(0, 4), false), ['is truncated']],
  ['a header with a wrong checksum', tarFile([...tree, Buffer.alloc(512, 65)]), ['damaged']],
  [
    'an absolute path',
    tarFile([...tree, tarEntry('/etc/cat.png', image)]),
    ['"/etc/cat.png" points outside'],
  ],
  [
    'a path with ".."',
    tarFile([...tree, tarEntry('train/../../cat.png', image)]),
    ['points outside', 'relative path'],
  ],
  [
    'a symbolic link',
    tarFile([...tree, tarEntry('train/ant/l.png', Buffer.alloc(0), { type: '2' })]),
    ['train/ant/l.png is a SymbolicLink'],
  ],
  [
    'a file that says it is absurdly large',
    tarFile([...tree, tarEntry('train/ant/huge.png', image, { size: 2 ** 45 })]),
    ['train/ant/huge.png says that it has 35184372088832 bytes'],
  ],
  ['the same file twice', tarFile([...tree, tree[0]]), ['train/ant/b.png twice']],
  [
    'an archive of something else',
    tarFile([tarEntry('notes/readme.txt', Buffer.from('x'))]),
    ['notes/readme.txt', 'expected CIFAR-10 batches', 'train/<class>/'],
  ],
];

for (const [what, bytes, fragments] of archives) {
  test(`${what} is refused by name`, async (t) => {
    const folder = temporaryFolder(t);
    const data = join(folder, 'archive.tar');
    write(folder, 'archive.tar', bytes);
    await refused(t, openDataset({ data, cacheDir: join(folder, 'cache') }), data, ...fragments);
  });
}

test('an image that is too large to be held is refused by name', (t) => {
  const entries = TREE.map((path) => ({ path, sizeBytes: 2 ** 26, folder: false }));
  t.throws(() => readImageTree('here', entries), {
    instanceOf: UserError,
    message: /here: the image train\/ant\/b.png has 67108864 bytes, at most 33554432/,
  });
});

test('a path where nothing is, is refused', async (t) => {
  const folder = temporaryFolder(t);
  const data = join(folder, 'nothing');
  await refused(
    t,
    openDataset({ data, cacheDir: join(folder, 'cache') }),
    `cannot read ${data}`,
    'check the path',
  );
});

test('a device is refused', async (t) => {
  const cacheDir = join(temporaryFolder(t), 'cache');
  await refused(t, openDataset({ data: '/dev/null', cacheDir }), '/dev/null is neither a folder nor a file');
});

test('an empty folder is refused', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'data'));
  await refused(t, openDataset({ data: join(folder, 'data'), cacheDir: join(folder, 'c') }), 'has no files');
});

test('every way of cutting an archive short is refused and none is taken for whole', async (t) => {
  const folder = temporaryFolder(t);
  await writeTree(join(folder, 'data'));
  const whole = readFileSync(await pack(join(folder, 'data'), join(folder, 'whole.tar.gz'), true));
  for (let length = 0; length < whole.length; length += 37) {
    write(folder, 'cut.tar.gz', whole.subarray(0, length));
    await refused(
      t,
      openDataset({ data: join(folder, 'cut.tar.gz'), cacheDir: join(folder, 'cache') }),
      'cut.tar.gz',
    );
  }
});
