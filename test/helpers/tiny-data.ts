// A data set for tests that start real processes: a folder in CIFAR-10's binary format with a few records, whose
// label shows in the colour, so that even a small model learns something in a few steps.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keyedRandom } from '../../shared/random.js';
import {
  CIFAR_CHANNELS,
  CIFAR_PLANE,
  CIFAR_RECORD_BYTES,
  CLASS_NAMES_FILE,
  TEST_BATCH,
} from '../../worker/data/cifar-format.js';

const CLASSES = ['red', 'green', 'blue', 'dark'];

export interface TinyData {
  readonly folder: string;
  readonly train: number;
  readonly test: number;
}

function batch(split: string, records: number): Buffer {
  const bytes = Buffer.alloc(records * CIFAR_RECORD_BYTES);
  for (let record = 0; record < records; record++) {
    const random = keyedRandom(1, split, record);
    const label = random.below(CLASSES.length);
    let at = record * CIFAR_RECORD_BYTES;
    bytes[at++] = label;
    for (let channel = 0; channel < CIFAR_CHANNELS; channel++)
      for (let pixel = 0; pixel < CIFAR_PLANE; pixel++)
        bytes[at++] = random.below(160) + (channel === label ? 40 : 0);
  }
  return bytes;
}

/** Writes a data set of the given size into a new folder within `parent`. */
export async function writeTinyData(parent: string, train = 256, test = 64): Promise<TinyData> {
  const folder = join(parent, 'data');
  await mkdir(folder);
  await writeFile(join(folder, CLASS_NAMES_FILE), `${CLASSES.join('\n')}\n`);
  await writeFile(join(folder, 'data_batch_1.bin'), batch('train', train));
  await writeFile(join(folder, TEST_BATCH), batch('test', test));
  return { folder, train, test };
}
