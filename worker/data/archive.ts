// A tar archive, plain or gzip, as a container of files: read as a stream, one pass for the listing and one
// for each round of reading, so that memory holds a few pieces and never the archive.
import { createReadStream, realpathSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import { sentence, UserError } from '../../shared/errors.js';
import { BATCH_FILE_MAX_BYTES } from '../../shared/limits.js';
import {
  type Container,
  type ContainerEntry,
  checkEntryCount,
  checkedPath,
  isHidden,
  type Piece,
  type ReadOptions,
  unreadable,
} from './container.js';

const READ_BYTES = 256 * 1024;
const INFLATED_BYTES = 128 * 1024;
const TAR_MAGIC_OFFSET = 257;

type Compression = 'gzip' | 'none';

/** Tells from its first bytes what a file is. @throws UserError when it is no archive of a known kind */
async function compressionOf(location: string): Promise<Compression> {
  const head = Buffer.alloc(512);
  let length: number;
  try {
    const file = await open(location, 'r');
    try {
      length = (await file.read(head, 0, head.length, 0)).bytesRead;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw unreadable(location, error);
  }
  if (length >= 2 && head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head.toString('latin1', TAR_MAGIC_OFFSET, TAR_MAGIC_OFFSET + 5) === 'ustar') return 'none';
  throw new UserError(
    `${location} is no archive (${length === 0 ? 'it is empty' : 'its first bytes are neither those of gzip nor of tar'}), expected a .tar, a .tar.gz or a folder: check the path, or download it again`,
  );
}

function damaged(location: string, error: unknown): UserError {
  if (error instanceof UserError) return error;
  const truncated = /unexpected end of file|truncated/i.test(String((error as Error)?.message));
  return new UserError(
    `${location} is ${truncated ? 'truncated' : 'damaged'} (${sentence(error)}), expected a whole .tar or .tar.gz: download or make it again`,
    { cause: error },
  );
}

/** Passes over an archive once, giving what `onEntry` queued each time that some input was parsed. */
async function* pass<T>(
  location: string,
  compression: Compression,
  onEntry: (entry: ReadEntry, queue: T[]) => void,
  signal?: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const queue: T[] = [];
  let failure: unknown;
  let ended = false;
  const parser = new Parser({
    strict: true,
    brotli: false,
    zstd: false,
    onReadEntry: (entry) => {
      try {
        onEntry(entry, queue);
      } catch (error) {
        failure ??= error;
        entry.resume();
      }
    },
  });
  parser.on('error', (error: unknown) => {
    failure ??= error;
  });
  // A block of zeros marks the end of an archive; one cut off between two entries lacks it.
  parser.on('nullBlock', () => {
    ended = true;
  });
  const fail = () => {
    if (failure !== undefined) throw failure;
  };
  const file = createReadStream(location, { highWaterMark: READ_BYTES });
  const input: Readable =
    compression === 'gzip'
      ? pipeline(file, createGunzip({ chunkSize: INFLATED_BYTES }), (error) => {
          failure ??= error ?? undefined;
        })
      : file;
  try {
    for await (const bytes of input) {
      signal?.throwIfAborted();
      parser.write(bytes as Buffer);
      fail();
      yield* queue.splice(0);
    }
    parser.end();
    fail();
    if (!ended) throw new Error('truncated input: the mark of the end is missing');
    yield* queue.splice(0);
  } catch (error) {
    signal?.throwIfAborted();
    throw damaged(location, error);
  } finally {
    file.destroy();
    input.destroy();
  }
}

/** The entry as it goes into the listing, checked; nothing for what is left aside. */
function listed(location: string, entry: ReadEntry): ContainerEntry | undefined {
  const path = checkedPath(location, entry.path);
  if (path === '' || isHidden(path)) return undefined;
  if (entry.type === 'Directory') return { path, sizeBytes: 0, folder: true };
  if (entry.type !== 'File' && entry.type !== 'OldFile' && entry.type !== 'ContiguousFile') {
    throw new UserError(
      `${location}: the entry ${path} is a ${entry.type}, expected files and folders only: make the archive anew with links resolved (tar --dereference)`,
    );
  }
  const sizeBytes = entry.size ?? 0;
  if (sizeBytes > BATCH_FILE_MAX_BYTES) {
    throw new UserError(
      `${location}: the entry ${path} says that it has ${sizeBytes} bytes, at most ${BATCH_FILE_MAX_BYTES} are accepted: make the archive anew or split it`,
    );
  }
  return { path, sizeBytes, folder: false };
}

async function list(
  location: string,
  compression: Compression,
  signal?: AbortSignal,
): Promise<ContainerEntry[]> {
  const entries: ContainerEntry[] = [];
  const seen = new Set<string>();
  const onEntry = (entry: ReadEntry, queue: ContainerEntry[]) => {
    const found = listed(location, entry);
    if (found) queue.push(found);
    entry.resume();
  };
  for await (const entry of pass(location, compression, onEntry, signal)) {
    checkEntryCount(location, entries.length + 1);
    if (!entry.folder && seen.has(entry.path)) {
      throw new UserError(`${location} has ${entry.path} twice, expected once: make the archive anew`);
    }
    seen.add(entry.path);
    entries.push(entry);
  }
  if (entries.length === 0) {
    throw new UserError(
      `${location} is an archive without files, expected images or CIFAR batches: check it`,
    );
  }
  return entries;
}

/** Cuts one entry's stream into pieces, and queues those that are wanted. */
function cut(entry: ReadEntry, index: number, options: ReadOptions, queue: Piece[]): void {
  const size = entry.size ?? 0;
  let piece = 0;
  let filled = 0;
  let parts: Buffer[] | undefined;
  const lengthOf = (k: number) => Math.min(options.pieceBytes, size - k * options.pieceBytes);
  const begin = () => {
    filled = 0;
    parts = options.wanted(index, piece) ? [] : undefined;
    if (lengthOf(piece) === 0 && parts) queue.push({ entry: index, piece, bytes: Buffer.alloc(0) });
  };
  begin();
  entry.on('data', (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; ) {
      const take = Math.min(bytes.length - at, lengthOf(piece) - filled);
      parts?.push(bytes.subarray(at, at + take));
      at += take;
      filled += take;
      if (filled < lengthOf(piece)) continue;
      if (parts)
        queue.push({ entry: index, piece, bytes: parts.length === 1 ? parts[0] : Buffer.concat(parts) });
      piece++;
      if (piece * options.pieceBytes < size) begin();
    }
  });
}

/** An archive, with its listing read once and kept. @throws UserError when the file is no archive */
export async function openArchive(location: string): Promise<Container> {
  const compression = await compressionOf(location);
  let listing: Promise<ContainerEntry[]> | undefined;
  return {
    kind: 'archive',
    location,
    realPath: realpathSync(location),
    entries(signal) {
      listing ??= list(location, compression, signal);
      return listing;
    },
    async *read(options) {
      let index = 0;
      const onEntry = (entry: ReadEntry, queue: Piece[]) => {
        const found = listed(location, entry);
        if (found && !found.folder) cut(entry, index, options, queue);
        else entry.resume();
        if (found) index++;
      };
      yield* pass(location, compression, onEntry, options.signal);
    },
  };
}
