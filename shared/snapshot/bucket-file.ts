// Files in a bucket, chunk by chunk: so much of them is in memory, however large they are. Written as a multipart upload
// whose first chunks, in which the head lies, are kept back and go last; S3 shows an object only when its upload is
// complete, so it is whole or not there. A small one is a single call. Read ahead by a chunk, since arrays are read in
// the order in which they lie.
import type { CompletedPart } from '@aws-sdk/client-s3';
import { BUCKET_CHUNK_BYTES, BUCKET_UPLOADS_MAX } from '../limits.js';
import type { OpenFile } from '../safetensors.js';
import { type Bucket, BucketError } from './bucket.js';
import { readFailure, writeFailure } from './failures.js';
import type { NewFile } from './store.js';

export class BucketUpload implements NewFile {
  readonly #bucket: Bucket;
  readonly #key: string;
  /** Chunks in which the head lies, once they are full. */
  #first: Buffer | undefined;
  /** What is being filled. */
  #chunk: Buffer;
  #filled: number;
  #upload: string | undefined;
  #chunks: number;
  readonly #done: CompletedPart[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #failure: unknown;

  /** @param path what the file is called in messages */
  constructor(
    bucket: Bucket,
    key: string,
    readonly path: string,
    headBytes: number,
  ) {
    this.#bucket = bucket;
    this.#key = key;
    this.#chunks = Math.ceil(Math.max(1, headBytes) / BUCKET_CHUNK_BYTES);
    this.#chunk = Buffer.allocUnsafe(this.#chunks * BUCKET_CHUNK_BYTES);
    this.#filled = headBytes;
  }

  async append(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.byteLength; ) {
      const part = data.subarray(at, at + this.#chunk.length - this.#filled);
      this.#chunk.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < this.#chunk.length) continue;
      const full = this.#chunk;
      this.#chunk = Buffer.allocUnsafe(BUCKET_CHUNK_BYTES);
      this.#filled = 0;
      if (this.#first) await this.#send(++this.#chunks, full);
      else this.#first = full;
    }
  }

  async finish(head: Uint8Array): Promise<void> {
    const object = { Key: this.#key };
    if (!this.#first) {
      this.#chunk.set(head);
      const Body = this.#chunk.subarray(0, this.#filled);
      await this.#call(() => this.#bucket.call((s3, bucket) => s3.putObject({ ...bucket, ...object, Body })));
      return;
    }
    if (this.#filled > 0) await this.#send(++this.#chunks, this.#chunk.subarray(0, this.#filled));
    this.#first.set(head);
    for (let at = 0; at < this.#first.length; at += BUCKET_CHUNK_BYTES)
      await this.#send(1 + at / BUCKET_CHUNK_BYTES, this.#first.subarray(at, at + BUCKET_CHUNK_BYTES));
    await Promise.all(this.#underWay);
    const Parts = this.#done.sort((a, b) => Number(a.PartNumber) - Number(b.PartNumber));
    const upload = { ...object, UploadId: this.#upload, MultipartUpload: { Parts } };
    await this.#call(() =>
      this.#bucket.call((s3, bucket) => s3.completeMultipartUpload({ ...bucket, ...upload })),
    );
  }

  async abandon(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#upload === undefined) return;
    const upload = { Key: this.#key, UploadId: this.#upload };
    try {
      await this.#bucket.call((s3, bucket) => s3.abortMultipartUpload({ ...bucket, ...upload }));
    } catch (error) {
      // Whatever was uploaded is no object, and the bucket's rule for incomplete uploads removes it.
      if (!(error instanceof BucketError)) throw error;
    }
  }

  /** Sends a chunk as soon as few enough are under way. It must not change any more. */
  async #send(PartNumber: number, Body: Buffer): Promise<void> {
    const object = { Key: this.#key };
    this.#upload ??= await this.#call(async () => {
      const begun = this.#bucket.call((s3, bucket) => s3.createMultipartUpload({ ...bucket, ...object }));
      return (await begun).UploadId;
    });
    while (this.#underWay.size >= BUCKET_UPLOADS_MAX) await Promise.race(this.#underWay);
    const part = { ...object, UploadId: this.#upload, PartNumber, Body };
    if (this.#failure) throw unwritable(this.path, this.#failure);
    const sent: Promise<void> = this.#bucket
      .call((s3, bucket) => s3.uploadPart({ ...bucket, ...part }))
      .then(
        ({ ETag, ChecksumCRC32 }) => void this.#done.push({ PartNumber, ETag, ChecksumCRC32 }),
        (error) => {
          this.#failure ??= error;
        },
      )
      .finally(() => this.#underWay.delete(sent));
    this.#underWay.add(sent);
  }

  /** Makes a call, unless a chunk has failed. Throws RunError. */
  async #call<T>(work: () => Promise<T>): Promise<T> {
    try {
      if (this.#failure) throw this.#failure;
      return await work();
    } catch (error) {
      throw unwritable(this.path, error);
    }
  }
}

export class BucketFile implements OpenFile {
  #begin = 0;
  #chunk: Uint8Array = new Uint8Array(0);

  /**
   * @param path what the file is called in messages
   * @param size in bytes
   */
  constructor(
    readonly bucket: Bucket,
    readonly key: string,
    readonly path: string,
    readonly size: number,
  ) {}

  async stat(): Promise<{ size: number }> {
    return { size: this.size };
  }

  /** Throws UserError. */
  async read(target: Uint8Array, offset: number, length: number, position: number) {
    if (position >= this.size) return { bytesRead: 0 };
    if (position < this.#begin || position >= this.#begin + this.#chunk.length) {
      this.#chunk = await this.#fetch(position, Math.min(this.size, position + BUCKET_CHUNK_BYTES));
      this.#begin = position;
    }
    const at = position - this.#begin;
    const bytes = this.#chunk.subarray(at, at + length);
    target.set(bytes, offset);
    return { bytesRead: bytes.length };
  }

  async close(): Promise<void> {
    this.#chunk = new Uint8Array(0);
  }

  async #fetch(begin: number, end: number): Promise<Uint8Array> {
    const range = { Key: this.key, Range: `bytes=${begin}-${end - 1}` };
    try {
      return await this.bucket.call(async (s3, bucket) => {
        const { Body, ContentLength } = await s3.getObject({ ...bucket, ...range });
        if (!Body || ContentLength !== end - begin)
          throw new Error(
            `expected ${end - begin} bytes from byte ${begin} on, got ${ContentLength ?? 'none'}`,
          );
        return Body.transformToByteArray();
      });
    } catch (error) {
      throw unreadable(this.path, error);
    }
  }
}

export function unreadable(path: string, error: unknown): unknown {
  return error instanceof BucketError ? readFailure(path, error.message, error) : error;
}

export function unwritable(path: string, error: unknown): unknown {
  return error instanceof BucketError ? writeFailure(path, error.message, error) : error;
}
