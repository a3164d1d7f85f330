// What a dataset is called in the cache: a fingerprint of where its records come from and of everything that is
// done to them. Equal fingerprints mean equal records, in every process of a host and over restarts.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { CACHE_CHUNK_MAX_BYTES, CACHE_CHUNK_RECORDS } from '../../shared/limits.js';
import { type Container, unreadable } from './container.js';

/** Changes whenever the layout of cached records or the numbering of a source does. */
export const RECORDS_VERSION = 1;

/** Everything deterministic that happens between the source's bytes and the cached record. */
export const TRANSFORM = 'cifar: planar to interleaved; images: decoded to sRGB, alpha removed; uint8 HWC';

/** Remembers content hashes by what `stat` says of a file, so that a large file is hashed once. */
export interface HashMemory {
  recall(key: string, stamp: string): string | undefined;
  remember(key: string, stamp: string, hash: string): void;
}

/** SHA-256 of a file's content, in hexadecimal. */
async function contentHash(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const bytes of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
      signal?.throwIfAborted();
      hash.update(bytes as Buffer);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw unreadable(path, error);
  }
  return hash.digest('hex');
}

/**
 * Where the records come from. An archive is known by its content, wherever it lies and whatever it is called.
 * A folder of many files is known by its real path and by path, size and time of change of every file in it,
 * since reading them all would cost as much as the cache saves.
 */
export async function identify(
  container: Container,
  memory: HashMemory,
  signal?: AbortSignal,
): Promise<string> {
  if (container.kind === 'folder') {
    const hash = createHash('sha256').update(container.realPath);
    for (const entry of await container.entries(signal)) {
      hash.update(JSON.stringify([entry.path, entry.folder ? null : [entry.sizeBytes, entry.modified]]));
    }
    return `folder:${hash.digest('hex')}`;
  }
  const found = await stat(container.realPath).catch((error) => {
    throw unreadable(container.location, error);
  });
  const stamp = `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`;
  const known = memory.recall(container.realPath, stamp);
  if (known) return `content:${known}`;
  const hash = await contentHash(container.realPath, signal);
  memory.remember(container.realPath, stamp, hash);
  return `content:${hash}`;
}

/** The fingerprint of a source under the transform of this version: 32 hexadecimal digits. */
export function fingerprintOf(identity: string): string {
  const chunks = [CACHE_CHUNK_RECORDS, CACHE_CHUNK_MAX_BYTES];
  const all = JSON.stringify([RECORDS_VERSION, TRANSFORM, chunks, identity]);
  return createHash('sha256').update(all).digest('hex').slice(0, 32);
}
