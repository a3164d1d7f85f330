// Snapshots in a bucket. Its folders are what names have in common up to a slash: they need not be made, and are gone
// with what is in them. An object is there when it is whole, so the manifest needs no other name at first.
import { randomBytes } from 'node:crypto';
import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { UserError } from '../errors.js';
import { SNAPSHOT_FOLDERS_MAX, STORE_CALLS_MAX } from '../limits.js';
import { datedName } from '../new-folder.js';
import type { OpenFile } from '../safetensors.js';
import { Bucket, BucketError } from './bucket.js';
import { BucketFile, BucketUpload, unreadable, unwritable } from './bucket-file.js';
import type { NewFile, Store } from './store.js';

export { Bucket };

/** Written and removed again at the start. */
const TRIAL_FILE = '.can-be-written';
/** Bytes of chance in the name of a run's folder: nobody can take a name in a bucket before somebody else does. */
const CHANCE_BYTES = 4;

export class BucketStore implements Store {
  readonly #bucket: Bucket;
  /** Of all names in it: empty, or ends with a slash. */
  readonly #prefix: string;
  readonly path: string;

  /** @param prefix names between slashes; empty: the whole bucket */
  constructor(bucket: Bucket, prefix: string) {
    this.#bucket = bucket;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    this.path = `s3://${bucket.name}${prefix === '' ? '' : `/${prefix}`}`;
  }

  folder(name: string): BucketStore {
    return new BucketStore(this.#bucket, `${this.#prefix}${name}`);
  }

  pathOf(file: string): string {
    return `${this.path}/${file}`;
  }

  async check(): Promise<void> {
    const object = { Key: `${this.#prefix}${TRIAL_FILE}` };
    try {
      await this.#list('/', 1).next();
      await this.#bucket.call((s3, bucket) => s3.putObject({ ...bucket, ...object, Body: 'yes' }));
      await this.#bucket.call((s3, bucket) => s3.deleteObject({ ...bucket, ...object }));
    } catch (error) {
      if (!(error instanceof BucketError)) throw error;
      throw new UserError(
        `--snapshots: cannot write snapshots into ${this.path}: ${error.message}; give a bucket, and credentials that may list, read, write and delete there`,
      );
    }
  }

  async newFolder(run: string, startedAt: Date): Promise<string> {
    return `${datedName(run, startedAt)}-${randomBytes(CHANCE_BYTES).toString('hex')}`;
  }

  async folders(): Promise<string[] | undefined> {
    const names: string[] = [];
    let isThere = false;
    try {
      for await (const { CommonPrefixes = [], Contents = [] } of this.#list('/')) {
        isThere ||= CommonPrefixes.length + Contents.length > 0;
        for (const { Prefix = '' } of CommonPrefixes) {
          const name = Prefix.slice(this.#prefix.length, -1);
          if (name !== '' && !name.startsWith('.')) names.push(name);
        }
        if (names.length >= SNAPSHOT_FOLDERS_MAX) break;
      }
    } catch (error) {
      throw unreadable(this.path, error);
    }
    return isThere ? names.slice(0, SNAPSHOT_FOLDERS_MAX) : undefined;
  }

  async bytesOf(file: string): Promise<number | undefined> {
    const object = { Key: `${this.#prefix}${file}` };
    try {
      const head = await this.#bucket.call((s3, bucket) => s3.headObject({ ...bucket, ...object }));
      return head.ContentLength ?? 0;
    } catch (error) {
      if (error instanceof BucketError && error.isMissing) return undefined;
      throw unreadable(this.pathOf(file), error);
    }
  }

  async open(file: string): Promise<OpenFile | undefined> {
    const bytes = await this.bytesOf(file);
    return bytes === undefined
      ? undefined
      : new BucketFile(this.#bucket, `${this.#prefix}${file}`, this.pathOf(file), bytes);
  }

  async create(file: string, headBytes: number): Promise<NewFile> {
    return new BucketUpload(this.#bucket, `${this.#prefix}${file}`, this.pathOf(file), headBytes);
  }

  async write(file: string, text: string): Promise<void> {
    const object = { Key: `${this.#prefix}${file}`, Body: text };
    try {
      await this.#bucket.call((s3, bucket) => s3.putObject({ ...bucket, ...object }));
    } catch (error) {
      throw unwritable(this.pathOf(file), error);
    }
  }

  async remove(first: string): Promise<void> {
    try {
      await this.#delete(`${this.#prefix}${first}`);
      // One by one: not every store has the call that deletes several.
      for await (const { Contents = [] } of this.#list(undefined, STORE_CALLS_MAX))
        await Promise.all(Contents.map(({ Key }) => this.#delete(Key)));
    } catch (error) {
      throw unwritable(this.path, error);
    }
  }

  async #delete(Key: string | undefined): Promise<void> {
    await this.#bucket.call((s3, bucket) => s3.deleteObject({ ...bucket, Key }));
  }

  /** What is in it, page by page; with a delimiter what is deeper is told as a folder. Throws BucketError. */
  async *#list(Delimiter?: string, MaxKeys?: number): AsyncGenerator<ListObjectsV2CommandOutput> {
    let ContinuationToken: string | undefined;
    do {
      const asked = { Prefix: this.#prefix, Delimiter, MaxKeys, ContinuationToken };
      const page = await this.#bucket.call((s3, bucket) => s3.listObjectsV2({ ...bucket, ...asked }));
      yield page;
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
  }
}
