// One server's or worker's part of a snapshot: a safetensors file that is written array by array, as they are copied,
// and read array by array, as they are needed. The header is written last. It bears the SHA-256 of every array, and the
// snapshot's manifest that of the header; so whoever reads one block checks that block and not the whole file.
import { createHash } from 'node:crypto';
import { isExpected, sentence, UserError } from '../errors.js';
import { SNAPSHOT_ARRAYS_MAX } from '../limits.js';
import { type Dtype, type OpenFile, readBytes, readHeader, safetensorsHeader } from '../safetensors.js';
import type { NewFile, Store } from './store.js';

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

/** Its length is known before the data: a digest that is not there yet is as long as one that is. */
function headerOf(
  arrays: readonly PartArray[],
  metadata: Readonly<Record<string, string>>,
  digests: readonly string[],
): Buffer {
  const all = arrays.map((_, index) => digests[index] ?? NO_DIGEST).join('');
  return safetensorsHeader(arrays, { ...metadata, [DIGESTS]: all });
}

export class PartWriter {
  #bytes: number;
  readonly #digests: string[] = [];

  private constructor(
    readonly file: NewFile,
    readonly arrays: readonly PartArray[],
    readonly metadata: Readonly<Record<string, string>>,
    headerBytes: number,
  ) {
    this.#bytes = headerBytes;
  }

  /** Begins a file that must not be there. Throws RunError where the store does not take it. */
  static async create(
    store: Store,
    file: string,
    arrays: readonly PartArray[],
    metadata: Readonly<Record<string, string>>,
  ): Promise<PartWriter> {
    const headerBytes = headerOf(arrays, metadata, []).length;
    return new PartWriter(await store.create(file, headerBytes), arrays, metadata, headerBytes);
  }

  /** Writes the next array. It must not change before this resolves. Throws RunError. */
  async append(data: Uint8Array): Promise<void> {
    this.#digests.push(sha256(data));
    await this.file.append(data);
    this.#bytes += data.byteLength;
  }

  /** Writes the header and makes the file last. Throws RunError. */
  async finish(): Promise<PartIdentity> {
    const header = headerOf(this.arrays, this.metadata, this.#digests);
    await this.file.finish(header);
    return { bytes: this.#bytes, headerSha256: sha256(header) };
  }

  /** Removes the file. */
  abandon(): Promise<void> {
    return this.file.abandon();
  }
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
    readonly handle: OpenFile,
    readonly arrays: ReadonlyMap<string, PlacedArray>,
    readonly metadata: Readonly<Record<string, string>>,
  ) {}

  /** Opens a part and checks all but its data. Throws UserError that names the file. */
  static async open(store: Store, file: string, identity: PartIdentity): Promise<PartReader> {
    const path = store.pathOf(file);
    const handle = await store.open(file);
    if (!handle)
      throw new UserError(`Cannot read ${path}: it or its folder does not exist; resume from another`);
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
  throw error;
}
