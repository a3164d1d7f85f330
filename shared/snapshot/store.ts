// Where snapshots lie: a folder on a disk, or a prefix in a bucket of anything that speaks S3. All that writes, finds
// and reads them does it through this, so the promises are the same: a file is whole or not there, one that could not be
// written says why in one line, and what is read is checked by those who read it. The client of S3 is loaded only where
// a bucket is named.
import { resolve } from 'node:path';
import { UserError } from '../errors.js';
import type { OpenFile } from '../safetensors.js';
import { FolderStore } from './folder-store.js';

/** A folder: of all runs, of one, or of one snapshot. It may not be there. */
export interface Store {
  /** Absolute path, or URL: by it whoever is told finds the same again. */
  readonly path: string;
  /** The folder of that name in it. */
  folder(name: string): Store;
  /** What a file in it is called in messages. */
  pathOf(file: string): string;
  /** Shows that files can be written and removed, before the first is due. Throws UserError. */
  check(): Promise<void>;
  /** Takes the name of a folder for a run, which nobody else has. Throws RunError. */
  newFolder(run: string, startedAt: Date): Promise<string>;
  /** Names of the folders in it, and so many at most; undefined where it is not there. Throws UserError. */
  folders(): Promise<string[] | undefined>;
  /** Size of a file; undefined where it is not there. Throws UserError. */
  bytesOf(file: string): Promise<number | undefined>;
  /** A file to read from; undefined where it is not there. Throws UserError. */
  open(file: string): Promise<OpenFile | undefined>;
  /** Begins a file, in a folder that may not be there. Throws RunError. */
  create(file: string, headBytes: number): Promise<NewFile>;
  /** Writes a file that is whole or not there, replacing one that is. Throws RunError. */
  write(file: string, text: string): Promise<void>;
  /** Removes it with all in it, where it is there: one file before all others. Throws RunError. */
  remove(first: string): Promise<void>;
}

/** A file whose first bytes, its head, are known last. Until it is finished nobody takes it for whole. */
export interface NewFile {
  /** Adds bytes behind those before; they may change as soon as this resolves. Throws RunError. */
  append(data: Uint8Array): Promise<void>;
  /** Writes the head and makes all of it last. Throws RunError. */
  finish(head: Uint8Array): Promise<void>;
  /** Removes what was written, as far as that can be done. */
  abandon(): Promise<void>;
}

/** What is meant to be one, written as it may: nobody wants a folder of that name. */
const URL_LIKE = /^\s*(?:s3:|[a-z][a-z0-9+.-]*:\/\/)/i;
const BUCKET = /^s3:\/\/([A-Za-z0-9._-]{3,255})((?:\/[^/]+)*)\/?$/;

/** What is wrong with the name of a store; undefined: nothing. */
export function storeFault(given: string): string | undefined {
  const isFine = BUCKET.test(given) || !URL_LIKE.test(given);
  return isFine ? undefined : `expected a folder or s3://BUCKET/PREFIX, got ${given}`;
}

/** What snapshots are read from and written to at a path or URL. Throws UserError where there can be none. */
export async function storeAt(given: string): Promise<Store> {
  const [, name, prefix] = BUCKET.exec(given) ?? [];
  const fault = storeFault(given);
  if (fault) throw new UserError(`${fault}; give one of the two`);
  if (name === undefined) return new FolderStore(resolve(given));
  const { Bucket, BucketStore } = await import('./bucket-store.js');
  return new BucketStore(await Bucket.open(name), prefix.slice(1));
}
