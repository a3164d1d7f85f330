// Files that are whole or not there: written beside their place, flushed to the disk, then renamed into it.
// Whoever reads while it is written, or after a crash, sees the old file or the new one.
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RunError, UserError } from './errors.js';

/** A name in the same folder, and so on the same disk, that nobody else uses. */
export function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomUUID()}.partial`);
}

/**
 * Writes a file atomically, replacing one that is there.
 * @param chunks what the file will hold, in order; views are written as they lie in memory, without copying
 * @returns its size in bytes
 * @throws RunError that names the file, where the disk is full or may not be written
 */
export async function writeFileAtomic(
  path: string,
  chunks: Iterable<ArrayBufferView | string>,
): Promise<number> {
  const temporary = temporaryName(path);
  let handle: FileHandle | undefined;
  let sizeBytes = 0;
  try {
    handle = await open(temporary, 'wx');
    for (const chunk of chunks) sizeBytes += await writeAll(handle, chunk);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, path);
    await syncFolder(dirname(path));
    return sizeBytes;
  } catch (error) {
    await handle?.close();
    await rm(temporary, { force: true });
    throw unwritable(path, error);
  }
}

/** Makes the names in a folder last through a power failure. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether an error comes from the operating system, and so has a code. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
}

/** What a person makes of the usual codes. */
export function reason(error: NodeJS.ErrnoException): string {
  const known: Record<string, string> = {
    ENOSPC: 'the disk is full',
    EDQUOT: 'the quota of the disk is used up',
    EACCES: 'this user may not',
    EPERM: 'this user may not',
    EROFS: 'the disk is read-only',
    ENOENT: 'it or its folder does not exist',
    ENOTDIR: 'a part of the path is no folder',
    EISDIR: 'it is a folder',
  };
  return known[error.code ?? ''] ?? error.message;
}

/** What to throw for a failed read of a file: what the system said of it, with what to do; anything else as it is. */
export function unreadable(path: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  return new UserError(`Cannot read ${path}: ${reason(error)}; mend that, or give another path`, {
    cause: error,
  });
}

/** What to throw for a failed write, likewise. */
export function unwritable(path: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  return new RunError(`Cannot write ${path}: ${reason(error)}; mend that, or write elsewhere`, {
    cause: error,
  });
}

/** Most bytes of one write; larger ones are cut by the system anyway. */
const WRITE_BYTES = 64 * 1024 * 1024;

async function writeAll(handle: FileHandle, chunk: ArrayBufferView | string): Promise<number> {
  const bytes =
    typeof chunk === 'string'
      ? Buffer.from(chunk)
      : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  let written = 0;
  while (written < bytes.length) {
    const result = await handle.write(bytes, written, Math.min(bytes.length - written, WRITE_BYTES));
    written += result.bytesWritten;
  }
  return written;
}
