// A folder as a container of files. Small reads are synchronous on purpose: the decoder keeps libuv's threads
// busy, and a read that queues behind forty decodings takes milliseconds instead of microseconds.
import { closeSync, openSync, readdirSync, readSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { UserError } from '../../shared/errors.js';
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

/** How many entries are looked at before other work of the process gets its turn. */
const ENTRIES_PER_TURN = 2048;

async function walk(location: string, signal?: AbortSignal): Promise<ContainerEntry[]> {
  const entries: ContainerEntry[] = [];
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const here = join(location, folder);
    let names: string[];
    try {
      names = readdirSync(here).sort();
    } catch (error) {
      throw unreadable(here, error);
    }
    const inside: string[] = [];
    for (const name of names) {
      const path = checkedPath(location, folder === '' ? name : `${folder}/${name}`);
      if (isHidden(path)) continue;
      checkEntryCount(location, entries.length + 1);
      entries.push(look(location, path));
      if (entries[entries.length - 1].folder) inside.push(path);
      if (entries.length % ENTRIES_PER_TURN === 0) {
        await turn();
        signal?.throwIfAborted();
      }
    }
    folders.push(...inside.reverse());
  }
  return entries;
}

function look(location: string, path: string): ContainerEntry {
  const full = join(location, path);
  try {
    const found = statSync(full);
    if (!found.isFile() && !found.isDirectory()) {
      throw new UserError(`${full} is neither a file nor a folder: remove it`);
    }
    return { path, sizeBytes: found.size, folder: found.isDirectory(), modified: String(found.mtimeMs) };
  } catch (error) {
    throw error instanceof UserError ? error : unreadable(full, error);
  }
}

function readPiece(file: string, descriptor: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(descriptor, bytes, filled, length - filled, position + filled);
    if (count === 0) {
      throw new UserError(
        `${file} ended after ${position + filled} bytes while it was read, ${position + length} were expected: let it be written completely and start again`,
      );
    }
    filled += count;
  }
  return bytes;
}

async function* readFolder(
  location: string,
  entries: ContainerEntry[],
  { pieceBytes, wanted, signal }: ReadOptions,
): AsyncGenerator<Piece, void, undefined> {
  for (const [index, entry] of entries.entries()) {
    if (entry.folder) continue;
    const pieces = Math.max(1, Math.ceil(entry.sizeBytes / pieceBytes));
    const file = join(location, entry.path);
    let descriptor: number | undefined;
    try {
      for (let piece = 0; piece < pieces; piece++) {
        signal?.throwIfAborted();
        if (!wanted(index, piece)) continue;
        let bytes: Buffer;
        try {
          descriptor ??= openSync(file, 'r');
          const position = piece * pieceBytes;
          bytes = readPiece(file, descriptor, position, Math.min(pieceBytes, entry.sizeBytes - position));
        } catch (error) {
          throw error instanceof UserError ? error : unreadable(file, error);
        }
        yield { entry: index, piece, bytes };
      }
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
    }
  }
}

/** A folder, with its listing read once and kept. */
export function openFolder(location: string): Container {
  let listing: Promise<ContainerEntry[]> | undefined;
  const entries = (signal?: AbortSignal) => {
    listing ??= walk(location, signal);
    return listing;
  };
  return {
    kind: 'folder',
    location,
    realPath: realpathSync(location),
    entries,
    async *read(options) {
      yield* readFolder(location, await entries(options.signal), options);
    },
  };
}
