// CIFAR-10 in its binary version as a source of records, from a folder or from the archive as it is downloaded.
// A chunk is a run of records of one batch file.
import { posix } from 'node:path';
import { UserError } from '../../shared/errors.js';
import { BATCH_FILE_MAX_BYTES, CACHE_CHUNK_RECORDS, CLASS_NAMES_MAX_BYTES } from '../../shared/limits.js';
import {
  CIFAR_CHANNELS,
  CIFAR_RECORD_BYTES,
  CIFAR_SIDE,
  CLASS_NAMES_FILE,
  interleave,
  labelOf,
  parseClassNames,
  recordsInBatch,
  TEST_BATCH,
  trainBatchNumber,
} from './cifar-format.js';
import type { Container, ContainerEntry } from './container.js';
import type { Source, SourceRecord } from './source.js';

interface Batch {
  file: string;
  entry: number;
  records: number;
  firstRecord: number;
  firstChunk: number;
}

/** Whether a path is one of the batches that make a container a CIFAR source. */
export function isCifarBatch(path: string): boolean {
  const name = posix.basename(path);
  return name === TEST_BATCH || trainBatchNumber(name) !== undefined;
}

/** The folder within the container that has the batches; there may be only one. */
function batchFolder(container: Container, entries: readonly ContainerEntry[]): string {
  const folders = new Set(
    entries.filter((entry) => !entry.folder && isCifarBatch(entry.path)).map((e) => posix.dirname(e.path)),
  );
  if (folders.size === 1) return [...folders][0];
  throw new UserError(
    `${container.location} has CIFAR batches in ${folders.size} folders (${[...folders].slice(0, 3).join(', ')}), expected one: give that folder`,
  );
}

async function readClassNames(
  container: Container,
  entries: readonly ContainerEntry[],
  folder: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const path = posix.join(folder, CLASS_NAMES_FILE);
  const index = entries.findIndex((entry) => entry.path === path && !entry.folder);
  const shown = posix.join(container.location, path);
  if (index < 0) {
    throw new UserError(`${shown} is missing, expected the names of the classes, one a line: put it back`);
  }
  if (entries[index].sizeBytes > CLASS_NAMES_MAX_BYTES) {
    throw new UserError(
      `${shown} has ${entries[index].sizeBytes} bytes, at most ${CLASS_NAMES_MAX_BYTES} are expected of a list of class names: put the original file back`,
    );
  }
  const pieces = container.read({
    pieceBytes: CLASS_NAMES_MAX_BYTES,
    wanted: (entry) => entry === index,
    signal,
  });
  for await (const { bytes } of pieces) return parseClassNames(shown, bytes.toString('utf8'));
  throw new UserError(`${shown} disappeared while it was read: start again`);
}

function findBatches(container: Container, entries: readonly ContainerEntry[], folder: string): Batch[] {
  const found = entries
    .map((entry, index) => ({ ...entry, index, name: posix.basename(entry.path) }))
    .filter((entry) => !entry.folder && posix.dirname(entry.path) === folder && isCifarBatch(entry.path))
    .sort(
      (a, b) =>
        (trainBatchNumber(a.name) ?? Infinity) - (trainBatchNumber(b.name) ?? Infinity) || a.index - b.index,
    );
  if (found.every((entry) => entry.name === TEST_BATCH)) {
    throw new UserError(
      `${container.location} has no data_batch_1.bin, expected training records: put it back`,
    );
  }
  if (found[found.length - 1].name !== TEST_BATCH) {
    throw new UserError(`${container.location} has no ${TEST_BATCH}, expected a test split: put it back`);
  }
  let firstRecord = 0;
  let firstChunk = 0;
  return found.map((entry) => {
    const file = posix.join(container.location, entry.path);
    if (entry.sizeBytes > BATCH_FILE_MAX_BYTES) {
      throw new UserError(
        `${file} has ${entry.sizeBytes} bytes, at most ${BATCH_FILE_MAX_BYTES} are accepted: split it into batches`,
      );
    }
    const records = recordsInBatch(file, entry.sizeBytes);
    const batch = { file, entry: entry.index, records, firstRecord, firstChunk };
    firstRecord += records;
    firstChunk += Math.ceil(records / CACHE_CHUNK_RECORDS);
    return batch;
  });
}

function unpack(batch: Batch, piece: number, bytes: Buffer, classes: readonly string[]): SourceRecord[] {
  return Array.from({ length: bytes.length / CIFAR_RECORD_BYTES }, (_, i) => {
    const record = bytes.subarray(i * CIFAR_RECORD_BYTES, (i + 1) * CIFAR_RECORD_BYTES);
    const inFile = piece * CACHE_CHUNK_RECORDS + i;
    return {
      index: batch.firstRecord + inFile,
      label: labelOf(batch.file, inFile, record[0], classes),
      features: interleave(record),
    };
  });
}

/** @throws UserError for batches that are missing, of a wrong size, or without names of classes */
export async function openCifar(container: Container, signal?: AbortSignal): Promise<Source> {
  const entries = await container.entries(signal);
  const folder = batchFolder(container, entries);
  const batches = findBatches(container, entries, folder);
  const classes = await readClassNames(container, entries, folder, signal);
  const byEntry = new Map(batches.map((batch) => [batch.entry, batch]));
  const test = batches[batches.length - 1];
  return {
    name: 'cifar10',
    classes,
    format: { shape: [CIFAR_SIDE, CIFAR_SIDE, CIFAR_CHANNELS], dtype: 'uint8' },
    splits: { train: test.firstRecord, test: test.records },
    chunks: test.firstChunk + Math.ceil(test.records / CACHE_CHUNK_RECORDS),
    async produce(wanted, deliver, produceSignal) {
      const pieces = container.read({
        pieceBytes: CACHE_CHUNK_RECORDS * CIFAR_RECORD_BYTES,
        wanted: (entry, piece) => {
          const batch = byEntry.get(entry);
          return batch !== undefined && wanted(batch.firstChunk + piece);
        },
        signal: produceSignal,
      });
      for await (const { entry, piece, bytes } of pieces) {
        const batch = byEntry.get(entry) as Batch;
        await deliver(batch.firstChunk + piece, unpack(batch, piece, bytes, classes));
      }
    },
  };
}
