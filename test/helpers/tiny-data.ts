// A folder of CIFAR-10 batches with two classes that anything can tell apart: dark images and bright ones.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keyedRandom } from '../../shared/random.js';
import { CIFAR_RECORD_BYTES, CLASS_NAMES_FILE, TEST_BATCH } from '../../worker/data/cifar-format.js';

function batch(records: number, key: string): Buffer {
  const random = keyedRandom(1, 'tiny', key);
  const bytes = Buffer.alloc(records * CIFAR_RECORD_BYTES);
  for (let record = 0; record < records; record++) {
    const start = record * CIFAR_RECORD_BYTES;
    const label = record % 2;
    bytes[start] = label;
    for (let i = 1; i < CIFAR_RECORD_BYTES; i++) bytes[start + i] = 128 * label + random.below(128);
  }
  return bytes;
}

/** Writes it below `folder` and returns its path. */
export async function writeTinyData(folder: string, size: { train: number; test: number }): Promise<string> {
  const path = join(folder, 'tiny');
  await mkdir(path);
  await writeFile(join(path, 'data_batch_1.bin'), batch(size.train, 'train'));
  await writeFile(join(path, TEST_BATCH), batch(size.test, 'test'));
  await writeFile(join(path, CLASS_NAMES_FILE), 'dark\nbright\n');
  return path;
}
