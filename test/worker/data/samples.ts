// Small sources of data for the tests: CIFAR batches, trees of images, archives made byte by byte.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import sharp from 'sharp';
import { create } from 'tar';
import { UserError } from '../../../shared/errors.js';
import { keyedRandom } from '../../../shared/random.js';
import type { Dataset } from '../../../worker/data/dataset.js';

/** A folder that goes with the test. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'gradloom-data-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function write(folder: string, path: string, bytes: Uint8Array | string): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
}

export interface CifarShape {
  train: number[];
  test: number;
  classes: string[];
}

export const SMALL_CIFAR: CifarShape = { train: [600, 300], test: 270, classes: ['cat', 'dog', 'emu'] };

/** Byte `at` of the planar pixels of one record, drawn by key. */
export function cifarRecord(split: string, index: number, classes: number): Buffer {
  const random = keyedRandom(5, split, index);
  const record = Buffer.alloc(3073);
  record[0] = index % classes;
  for (let at = 1; at < record.length; at++) record[at] = random.below(256);
  return record;
}

/** Writes batches in the CIFAR-10 binary format. */
export function writeCifar(folder: string, shape: CifarShape = SMALL_CIFAR): string {
  let first = 0;
  for (const [batch, records] of shape.train.entries()) {
    const rows = Array.from({ length: records }, (_, i) =>
      cifarRecord('train', first + i, shape.classes.length),
    );
    write(folder, `data_batch_${batch + 1}.bin`, Buffer.concat(rows));
    first += records;
  }
  const rows = Array.from({ length: shape.test }, (_, i) => cifarRecord('test', i, shape.classes.length));
  write(folder, 'test_batch.bin', Buffer.concat(rows));
  write(folder, 'batches.meta.txt', `${shape.classes.join('\n')}\n\n`);
  return folder;
}

/** Whether a dataset holds just what `writeCifar` wrote: every label and every pixel of every record. */
export function holdsCifar(dataset: Dataset, shape: CifarShape = SMALL_CIFAR): boolean {
  const sizes = { train: shape.train.reduce((a, b) => a + b, 0), test: shape.test };
  return (['train', 'test'] as const).every((split) => {
    if (dataset.splits[split] !== sizes[split]) return false;
    let right = true;
    dataset.visit(split, [...Array(sizes[split]).keys()], (index, label, features) => {
      const record = cifarRecord(split, index, shape.classes.length);
      right &&= label === record[0];
      for (let at = 0; at < 1024; at++) {
        for (let c = 0; c < 3; c++) right &&= features[at * 3 + c] === record[1 + c * 1024 + at];
      }
    });
    return right;
  });
}

/** Pixels of one image of a tree, drawn by key: rows of red, green, blue. */
export function imagePixels(path: string, width = 6, height = 4): Buffer {
  const random = keyedRandom(6, path);
  return Buffer.from(Uint8Array.from({ length: width * height * 3 }, () => random.below(256)));
}

export async function png(path: string, width = 6, height = 4): Promise<Buffer> {
  return sharp(imagePixels(path, width, height), { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

export const TREE = [
  'train/ant/b.png',
  'train/ant/a.png',
  'train/bee/z.png',
  'train/bee/y.PNG',
  'train/bee/x.png',
  'test/bee/q.png',
  'test/ant/r.png',
];

/** Writes a tree of lossless images. */
export async function writeTree(folder: string, paths: readonly string[] = TREE): Promise<string> {
  for (const path of paths) write(folder, path, await png(path));
  return folder;
}

/** Packs everything in a folder. */
export async function pack(folder: string, archive: string, gzip: boolean): Promise<string> {
  await create({ file: archive, cwd: folder, gzip, portable: true }, ['.']);
  return archive;
}

/** One entry of a tar archive as bytes, with whatever header a test wants. */
export function tarEntry(
  path: string,
  content: Buffer,
  header: { size?: number; type?: string } = {},
): Buffer {
  const block = Buffer.alloc(512);
  const size = header.size ?? content.length;
  block.write(path, 0, 100);
  block.write('0000644\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  if (size < 8 ** 11) block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write('00000000000\0', 136);
  block.fill(' ', 148, 156);
  block.write(header.type ?? '0', 156);
  if (header.type === '2') block.write('elsewhere', 157);
  block.write('ustar\u000000', 257);
  const sum = block.reduce((a, b) => a + b, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([block, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

export function tarFile(entries: Buffer[], end = true): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(end ? 1024 : 0)]);
}

export const tarGz = (entries: Buffer[]): Buffer => gzipSync(tarFile(entries));

/** Asserts that something is refused as the user's mistake, in one line that has all the fragments. */
export async function refused(
  t: ExecutionContext,
  attempt: Promise<unknown>,
  ...fragments: string[]
): Promise<void> {
  const error = await t.throwsAsync(attempt, { instanceOf: UserError });
  for (const fragment of fragments) {
    t.true(error?.message.includes(fragment), `"${error?.message}" does not say "${fragment}"`);
  }
  t.false(error?.message.includes('\n'));
}
