// The embedded dataset: ten classes of shapes (see shapes.ts), written once as CIFAR-10 batches into the cache
// directory and read from there by the same reader as the real CIFAR-10. Its content has a seed of its own, so
// that it is the same for every run: cached once, and accuracies can be compared.
import {
  closeSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { CACHE_POLL_MS, GENERATED_DATASETS_MAX } from '../../shared/limits.js';
import { makeFolder, writing } from './cache/environment.js';
import type { HostIndex } from './cache/host-index.js';
import { CIFAR_RECORD_BYTES, CLASS_NAMES_FILE, TEST_BATCH } from './cifar-format.js';
import { drawShape, noiseTable, SHAPES } from './shapes.js';
import type { Split } from './source.js';

/** Changes with everything that changes a byte of the files. */
export const GENERATED_VERSION = 1;
const FOLDER_PREFIX = 'shapes-v';
const CONTENT_SEED = 20_240_229;

/** How much of it there is. */
export interface GeneratedSize {
  batches: number;
  recordsPerBatch: number;
  testRecords: number;
}

export const GENERATED_SIZE: GeneratedSize = { batches: 8, recordsPerBatch: 2000, testRecords: 4000 };

/** What makes one generated dataset differ from another, for its fingerprint and its folder. */
export function generatedIdentity({ batches, recordsPerBatch, testRecords }: GeneratedSize): string {
  return `${FOLDER_PREFIX}${GENERATED_VERSION}-${batches}x${recordsPerBatch}-${testRecords}`;
}

interface BatchFile {
  name: string;
  split: Split;
  first: number;
  records: number;
}

function filesOf(size: GeneratedSize): BatchFile[] {
  const train = Array.from({ length: size.batches }, (_, i) => ({
    name: `data_batch_${i + 1}.bin`,
    split: 'train' as const,
    first: i * size.recordsPerBatch,
    records: size.recordsPerBatch,
  }));
  return [...train, { name: TEST_BATCH, split: 'test', first: 0, records: size.testRecords }];
}

/** How many records are drawn before other work of the process gets its turn. */
const RECORDS_PER_TURN = 100;

/** The bytes of one batch file; classes take turns, so that every batch is balanced. */
async function drawBatch(file: BatchFile, noise: Float32Array, signal?: AbortSignal): Promise<Buffer> {
  const bytes = Buffer.alloc(file.records * CIFAR_RECORD_BYTES);
  for (let i = 0; i < file.records; i++) {
    const index = file.first + i;
    const label = index % SHAPES.length;
    const start = i * CIFAR_RECORD_BYTES;
    bytes[start] = label;
    drawShape(
      bytes.subarray(start + 1, start + CIFAR_RECORD_BYTES),
      CONTENT_SEED,
      file.split,
      index,
      label,
      noise,
    );
    if (i % RECORDS_PER_TURN === 0) {
      await turn();
      signal?.throwIfAborted();
    }
  }
  return bytes;
}

const sizeOf = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.size;

/** Removes what processes that were killed left of a file. */
function clearLeftovers(folder: string, name: string): void {
  for (const left of readdirSync(folder)) {
    if (left.startsWith(`.${name}.`)) rmSync(join(folder, left), { force: true });
  }
}

/** Writes a file so that it appears whole or not at all. */
function writeWhole(folder: string, name: string, bytes: Uint8Array, unique: string): void {
  const temporary = join(folder, `.${name}.${unique}`);
  writing(folder, () => {
    try {
      const descriptor = openSync(temporary, 'w');
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      } finally {
        closeSync(descriptor);
      }
      try {
        renameSync(temporary, join(folder, name));
      } catch (error) {
        // Another process took this over, cleared it away, and has finished.
        if (sizeOf(join(folder, name)) !== bytes.length) throw error;
      }
    } finally {
      rmSync(temporary, { force: true });
    }
  });
}

/**
 * Marks a dataset's folder as used and removes those that nobody has asked for in the longest time: of other versions and
 * sizes. Their records may be in the cache still, and what is missed is made again.
 */
function keepNewest(index: HostIndex, identity: string): void {
  const parent = join(index.cacheDir, 'generated');
  index.exclusive(() => {
    const now = new Date();
    utimesSync(join(parent, identity), now, now);
    const others = readdirSync(parent)
      .filter((name) => name !== identity && name.startsWith(FOLDER_PREFIX))
      .map((name) => ({ folder: join(parent, name), usedAtMs: statSync(join(parent, name)).mtimeMs }))
      .sort((a, b) => b.usedAtMs - a.usedAtMs);
    for (const { folder } of others.slice(GENERATED_DATASETS_MAX - 1))
      rmSync(folder, { recursive: true, force: true });
  });
}

/**
 * Makes the files of the generated dataset, sharing the work with other processes that are at it.
 * @returns the folder, in the CIFAR-10 binary format
 */
export async function generate(
  index: HostIndex,
  size: GeneratedSize,
  onProgress: (done: number, total: number) => void,
  signal?: AbortSignal,
): Promise<string> {
  const identity = generatedIdentity(size);
  const folder = join(index.cacheDir, 'generated', identity);
  makeFolder(folder);
  writing(folder, () => keepNewest(index, identity));
  const files = filesOf(size);
  const claims = index.claims(identity);
  const isDone = (i: number) => sizeOf(join(folder, files[i].name)) === files[i].records * CIFAR_RECORD_BYTES;
  const missing = () => files.map((_, i) => i).filter((i) => !isDone(i));
  const total = files.reduce((sum, { records }) => sum + records, 0);
  let noise: Float32Array | undefined;
  const writeClassNames = (): void => {
    if (sizeOf(join(folder, CLASS_NAMES_FILE)) !== undefined) return;
    writeWhole(folder, CLASS_NAMES_FILE, Buffer.from(`${SHAPES.join('\n')}\n`), index.me.id);
  };
  try {
    for (let left = missing(); left.length > 0; left = missing()) {
      onProgress(total - left.reduce((sum, i) => sum + files[i].records, 0), total);
      signal?.throwIfAborted();
      const mine = left.find((i) => writing(folder, () => claims.take(i, isDone)));
      if (mine === undefined) {
        await delay(CACHE_POLL_MS);
        continue;
      }
      clearLeftovers(folder, files[mine].name);
      // By one process alone: who reads already would take a file that is put in the place of another for a changed one.
      if (mine === 0) writeClassNames();
      noise ??= noiseTable(CONTENT_SEED);
      writeWhole(folder, files[mine].name, await drawBatch(files[mine], noise, signal), index.me.id);
      writing(folder, () => claims.finish(mine));
    }
  } finally {
    claims.release();
  }
  writeClassNames();
  onProgress(total, total);
  return folder;
}
