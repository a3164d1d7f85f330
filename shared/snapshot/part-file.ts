// One server's or worker's part of a snapshot: a safetensors file that is written array by array, as they are copied,
// and read array by array, as they are needed. The header is written last. It bears the SHA-256 of every array, and the
// snapshot's manifest that of the header; so whoever reads one block checks that block and not the whole file.
import { createHash } from 'node:crypto';
import { type FileHandle, open, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isSystemError, reason, syncFolder } from '../atomic-file.js';
import { isExpected, RunError, sentence, UserError } from '../errors.js';
import { SNAPSHOT_ARRAYS_MAX } from '../limits.js';
import { type Dtype, readBytes, readHeader, safetensorsHeader } from '../safetensors.js';

export interface PartArray {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** What names a part in the manifest, and lets it be checked. */
export interface PartIdentity {
  readonly bytes: number;
  /** Hexadecimal, of the file up to its data. */
  readonly headerSha256: string;
}

const DIGEST_CHARACTERS = 64;
const NO_DIGEST = '0'.repeat(DIGEST_CHARACTERS);
/** Key of the metadata under which the arrays' SHA-256 stand, one behind the other, in the order of their data. */
const DIGESTS = 'sha256';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

export class PartWriter {
  #position: number;
  readonly #digests: string[] = [];

  private constructor(
    readonly path: string,
    readonly handle: FileHandle,
    readonly arrays: readonly PartArray[],
    readonly metadata: Readonly<Record<string, string>>,
  ) {
    this.#position = this.#header().length;
  }

  /** Begins a file that must not be there. Throws RunError where the disk does not take it. */
  static async create(
    path: string,
    arrays: readonly PartArray[],
    metadata: Readonly<Record<string, string>>,
  ): Promise<PartWriter> {
    try {
      return new PartWriter(path, await open(path, 'wx'), arrays, metadata);
    } catch (error) {
      throw unwritable(path, error);
    }
  }

  /** Writes the next array. It must not change before this resolves. Throws RunError. */
  async append(data: Uint8Array): Promise<void> {
    this.#digests.push(sha256(data));
    await this.#write(data, this.#position);
    this.#position += data.byteLength;
  }

  /** Writes the header and flushes the file to the disk. Throws RunError, and then the file is gone. */
  async finish(): Promise<PartIdentity> {
    const header = this.#header();
    await this.#write(header, 0);
    try {
      await this.handle.sync();
      await this.handle.close();
      await syncFolder(dirname(this.path));
    } catch (error) {
      throw unwritable(this.path, error);
    }
    return { bytes: this.#position, headerSha256: sha256(header) };
  }

  /** Removes the file, and its folder where nothing else is in it. */
  async abandon(): Promise<void> {
    // A full disk may fail the close as well; the file goes all the same.
    await this.handle.close().catch(() => undefined);
    await rm(this.path, { force: true });
    await rmdir(dirname(this.path)).catch((error: NodeJS.ErrnoException) => {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(error.code ?? '')) throw error;
    });
  }

  /** Its length is known before the data: a digest that is not there yet is as long as one that is. */
  #header(): Buffer {
    const digests = this.arrays.map((_, index) => this.#digests[index] ?? NO_DIGEST).join('');
    return safetensorsHeader(this.arrays, { ...this.metadata, [DIGESTS]: digests });
  }

  async #write(data: Uint8Array, position: number): Promise<void> {
    try {
      for (let done = 0; done < data.byteLength; )
        done += (await this.handle.write(data, done, data.byteLength - done, position + done)).bytesWritten;
    } catch (error) {
      throw unwritable(this.path, error);
    }
  }
}

function unwritable(path: string, error: unknown): unknown {
  return isSystemError(error)
    ? new RunError(`Cannot write ${path}: ${reason(error)}`, { cause: error })
    : error;
}

export interface PlacedArray extends PartArray {
  /** Bytes from the start of the file. */
  readonly begin: number;
  readonly end: number;
  readonly sha256: string;
}

export class PartReader {
  private constructor(
    readonly path: string,
    readonly handle: FileHandle,
    readonly arrays: ReadonlyMap<string, PlacedArray>,
    readonly metadata: Readonly<Record<string, string>>,
  ) {}

  /** Opens a part and checks all but its data. Throws UserError that names the file. */
  static async open(path: string, identity: PartIdentity): Promise<PartReader> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (error) {
      throw isSystemError(error) ? new UserError(`Cannot read ${path}: ${reason(error)}`) : error;
    }
    try {
      const { size } = await handle.stat();
      if (size !== identity.bytes)
        throw untrusted(path, `expected ${identity.bytes} bytes, as its manifest says, got ${size}`);
      const { header, entries, metadata } = await readHeader(path, handle, SNAPSHOT_ARRAYS_MAX);
      if (sha256(header) !== identity.headerSha256)
        throw untrusted(path, 'its header is not the one whose SHA-256 its manifest has');
      const { [DIGESTS]: digests = '', ...rest } = metadata;
      if (digests.length !== DIGEST_CHARACTERS * entries.length)
        throw untrusted(
          path,
          `expected the SHA-256 of ${entries.length} arrays, got ${digests.length} characters`,
        );
      const arrays = new Map(
        entries.map((entry, index) => {
          const at = index * DIGEST_CHARACTERS;
          return [entry.name, { ...entry, sha256: digests.slice(at, at + DIGEST_CHARACTERS) }];
        }),
      );
      return new PartReader(path, handle, arrays, rest);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** An array's bytes, checked. Throws UserError where they are not those that were written. */
  async read(name: string, expected: { dtype: Dtype; shape: readonly number[] }): Promise<Uint8Array> {
    const array = this.arrays.get(name);
    const { dtype, shape } = expected;
    if (!array || array.dtype !== dtype || array.shape.join() !== shape.join())
      throw untrusted(
        this.path,
        `expected an array '${name}' of ${dtype} and shape [${shape}], got ${array ? `${array.dtype} and shape [${array.shape}]` : 'none'}`,
      );
    const bytes = new Uint8Array(array.end - array.begin);
    await readBytes(this.path, this.handle, bytes, array.begin);
    if (sha256(bytes) !== array.sha256)
      throw untrusted(this.path, `the array '${name}' is not the one that was written, its SHA-256 differs`);
    return bytes;
  }

  /** Reads all of it. Throws UserError at the first array that is not what was written. */
  async verify(): Promise<void> {
    for (const [name, array] of this.arrays) await this.read(name, array);
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

function untrusted(path: string, what: string): UserError {
  return new UserError(`${path} is no part of a snapshot that can be trusted: ${what}; resume from another`);
}

/** Why a part was not written, in one sentence. Throws what is a bug of ours. */
export function writeFailure(error: unknown): string {
  if (isExpected(error)) return sentence(error);
  if (isSystemError(error)) return `Cannot write ${error.path}: ${reason(error)}`;
  throw error;
}
