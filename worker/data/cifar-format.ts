// The CIFAR-10 binary format, both ways: batches of records of one label byte and 3072 bytes of planar red,
// green and blue, and a text file with the names of the classes.
// Krizhevsky, "Learning multiple layers of features from tiny images", 2009; layout as published with the data.
import { UserError } from '../../shared/errors.js';
import { CLASSES_MAX } from '../../shared/limits.js';

export const CIFAR_SIDE = 32;
export const CIFAR_CHANNELS = 3;
export const CIFAR_PLANE = CIFAR_SIDE * CIFAR_SIDE;
export const CIFAR_FEATURES = CIFAR_PLANE * CIFAR_CHANNELS;
export const CIFAR_RECORD_BYTES = 1 + CIFAR_FEATURES;
export const CLASS_NAMES_FILE = 'batches.meta.txt';
export const TEST_BATCH = 'test_batch.bin';

/** Whether a file name is that of a batch of training records, and which. */
export function trainBatchNumber(fileName: string): number | undefined {
  const match = /^data_batch_(\d{1,6})\.bin$/.exec(fileName);
  return match ? Number(match[1]) : undefined;
}

/** The names of the classes, one a line. @throws UserError for none, too many for a label byte, or one twice */
export function parseClassNames(file: string, text: string): string[] {
  const names = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (names.length < 2 || names.length > Math.min(256, CLASSES_MAX)) {
    throw new UserError(
      `${file} names ${names.length} classes, expected 2 to 256, one a line: put the original file back`,
    );
  }
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new UserError(`${file} names the class ${twice} twice, expected once: put the original file back`);
  }
  return names;
}

/** The number of records in a batch file. @throws UserError when its size is no multiple of a record's */
export function recordsInBatch(file: string, sizeBytes: number): number {
  if (sizeBytes === 0 || sizeBytes % CIFAR_RECORD_BYTES !== 0) {
    throw new UserError(
      `${file} has ${sizeBytes} bytes, expected a multiple of ${CIFAR_RECORD_BYTES} (a label and 32 × 32 × 3 pixels a record): it is truncated or no CIFAR-10 batch, download it again`,
    );
  }
  return sizeBytes / CIFAR_RECORD_BYTES;
}

/** Turns the planes of one record into rows of pixels (height, width, channel). */
export function interleave(record: Uint8Array): Uint8Array {
  const pixels = new Uint8Array(CIFAR_FEATURES);
  for (let at = 0, out = 0; at < CIFAR_PLANE; at++) {
    pixels[out++] = record[1 + at];
    pixels[out++] = record[1 + CIFAR_PLANE + at];
    pixels[out++] = record[1 + 2 * CIFAR_PLANE + at];
  }
  return pixels;
}

/** The label of a record. @throws UserError when there is no such class */
export function labelOf(file: string, record: number, label: number, classes: readonly string[]): number {
  if (label < classes.length) return label;
  throw new UserError(
    `${file}: record ${record} has the label ${label}, expected 0 to ${classes.length - 1}: the file is damaged or is no CIFAR-10 batch, download it again`,
  );
}
