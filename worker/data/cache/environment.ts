// Opening an LMDB environment with care: LMDB maps the file into memory and trusts it, so a foreign or truncated
// file would end the process with a fault instead of an error. The two meta pages are checked first.
// Layout as of the data format 2 that the lmdb package writes: a page header of 24 bytes, then magic, version,
// address, map size, the two root tables, last page number and transaction number.
import { closeSync, fstatSync, mkdirSync, openSync, readSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { RunError, sentence, UserError } from '../../../shared/errors.js';
import { CACHE_READERS_MAX } from '../../../shared/limits.js';

const DATA_FILE = 'data.mdb';
const MAGIC = 0xbeefc0de;
const FORMAT_VERSION = 2;
const META = { magic: 24, version: 28, pageSize: 48, lastPage: 144, transaction: 152, bytes: 160 };
const DISK_ERRORS = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 28, 122, 27, 5];

interface Meta {
  pageSize: number;
  lastPage: bigint;
  transaction: bigint;
}

function readMeta(descriptor: number, position: number): Meta | undefined {
  const bytes = Buffer.alloc(META.bytes);
  if (readSync(descriptor, bytes, 0, bytes.length, position) < bytes.length) return undefined;
  if (bytes.readUInt32LE(META.magic) !== MAGIC) return undefined;
  if (bytes.readUInt32LE(META.version) !== FORMAT_VERSION) return undefined;
  return {
    pageSize: bytes.readUInt32LE(META.pageSize),
    lastPage: bytes.readBigUInt64LE(META.lastPage),
    transaction: bytes.readBigUInt64LE(META.transaction),
  };
}

function unusable(folder: string, error: unknown): UserError {
  return new UserError(
    `cannot open the cache in ${folder} (${sentence(error)}), expected files that this user may read and write: delete that folder, or choose another cache directory`,
    { cause: error },
  );
}

/** What is wrong with the environment in a folder, in words; nothing when it is absent, empty or as it should be. */
export function damageOf(folder: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(join(folder, DATA_FILE), 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(folder, error);
  }
  try {
    const found = fstatSync(descriptor);
    if (!found.isFile()) return `${DATA_FILE} is no file`;
    if (found.size === 0) return undefined;
    const first = readMeta(descriptor, 0);
    if (!first) return `${DATA_FILE} is no LMDB file of this format`;
    const { pageSize } = first;
    if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) {
      return `${DATA_FILE} has pages of ${pageSize} bytes`;
    }
    const second = readMeta(descriptor, pageSize);
    if (!second) return `${DATA_FILE} lacks its second meta page`;
    const latest = second.transaction > first.transaction ? second : first;
    const expected = (latest.lastPage + 1n) * BigInt(pageSize);
    // Asked again: another process may have made the file longer before it wrote the meta page that was read here.
    const { size } = fstatSync(descriptor);
    if (BigInt(size) < expected) return `${DATA_FILE} has ${size} of ${expected} bytes`;
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}

function freeMiB(folder: string): string {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return `${Math.floor((bavail * bsize) / 2 ** 20)} MiB are free there`;
  } catch (error) {
    return sentence(error);
  }
}

/** Runs something that writes to the cache; a full disk becomes one sentence. */
export function writing<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asWriteFailure(folder, error);
  }
}

/** The sentence for a failure to write, where it is one; anything else is given back as it is. */
export function asWriteFailure(folder: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException)?.code;
  if (!DISK_ERRORS.includes(code as string | number)) return error;
  return new RunError(
    `cannot write to the cache in ${folder}: ${sentence(error)}; ${freeMiB(folder)}: free some space, or choose another cache directory`,
    { cause: error },
  );
}

/** Makes a folder of the cache. @throws UserError when that isn't possible there */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    const failure = asWriteFailure(folder, error);
    if (failure !== error) throw failure;
    throw new UserError(
      `cannot make the cache directory ${folder} (${sentence(error)}), expected a place where this user may write: choose another cache directory`,
      { cause: error },
    );
  }
}

/**
 * Opens the environment in a folder, which must have been checked with `damageOf`, and clears the slots of
 * readers that were killed.
 * @param expectedBytes what it is going to hold; LMDB maps that much, and more when it is exceeded
 */
export function openEnvironment(folder: string, expectedBytes?: number): RootDatabase {
  makeFolder(folder);
  try {
    const root = open({
      path: folder,
      noSubdir: false,
      maxDbs: 4,
      maxReaders: CACHE_READERS_MAX,
      mapSize: expectedBytes,
    });
    root.readerCheck();
    return root;
  } catch (error) {
    const failure = asWriteFailure(folder, error);
    if (failure !== error) throw failure;
    throw unusable(folder, error);
  }
}
