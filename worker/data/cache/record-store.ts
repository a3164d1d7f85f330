// The records of one dataset in LMDB, in an environment of its own: a damaged one is thrown away alone, and an
// evicted one gives its disk back. A record is a checksum (CRC-32), a label and the features, at a fixed size
// under its number; a chunk of them is committed together with the note that it is done, so a process that is
// killed leaves either all of a chunk or nothing.
import { crc32 } from 'node:zlib';
import type { Database, RootDatabase } from 'lmdb';
import { RunError } from '../../../shared/errors.js';
import { recordBytes, type SourceDescription, type SourceRecord } from '../source.js';
import { Claims } from './claims.js';
import { writing } from './environment.js';
import type { Holder } from './holder.js';

export const STORE_FORMAT = 'gradloom-records-1';
export const TABLES = ['records', 'state'];

/** What the store knows of its dataset; equal in all processes that fill it. */
export interface StoreMeta extends SourceDescription {
  layout: typeof STORE_FORMAT;
  fingerprint: string;
}

const HEADER_BYTES = 8;
const LABEL_OFFSET = 4;

/** Bytes of the value of one record. */
export function storedRecordBytes(description: SourceDescription): number {
  return HEADER_BYTES + recordBytes(description.format);
}

/** Disk that a dataset takes: values of over half a page get whole pages of their own. */
export function storedBytes(description: SourceDescription): number {
  const pages = Math.ceil((storedRecordBytes(description) + 24) / 4096);
  return (description.splits.train + description.splits.test) * (pages * 4096 + 64) + 2 ** 20;
}

export class RecordStore {
  readonly folder: string;
  readonly meta: StoreMeta;
  readonly total: number;
  readonly #root: RootDatabase;
  readonly #records: Database<Buffer, number>;
  readonly #state: Database;
  readonly #claims: Claims;
  readonly #valueBytes: number;

  /** Over an environment that is open; `meta` is written when it has none yet. */
  constructor(root: RootDatabase, folder: string, me: Holder, meta?: StoreMeta) {
    this.folder = folder;
    this.#root = root;
    this.#records = root.openDB({ name: 'records', encoding: 'binary', keyEncoding: 'uint32' });
    this.#state = root.openDB({ name: 'state', encoding: 'json' });
    this.#claims = new Claims(root, this.#state, 'claim', me);
    this.meta = writing(folder, () =>
      root.transactionSync(() => {
        const known: StoreMeta | undefined = this.#state.get('meta');
        if (!known) this.#state.putSync('meta', meta);
        return known ?? (meta as StoreMeta);
      }),
    );
    this.total = this.meta.splits.train + this.meta.splits.test;
    this.#valueBytes = storedRecordBytes(this.meta);
  }

  /** Records in the cache, as of the latest commit of any process. */
  recordsDone(): number {
    this.#state.resetReadTxn();
    return this.#state.get('recordsDone') ?? 0;
  }

  isComplete(): boolean {
    return this.recordsDone() === this.total;
  }

  readonly #isDone = (chunk: number): boolean => this.#state.get(['done', chunk]) === true;

  /** Claims a chunk to be computed by this process. */
  take(chunk: number): boolean {
    return writing(this.folder, () => this.#claims.take(chunk, this.#isDone));
  }

  /** The processes that are at the chunks that are not done; nothing when one of these is free to be taken. */
  processesAtWork(): number[] | undefined {
    this.#state.resetReadTxn();
    const processes = new Set<number>();
    for (let chunk = 0; chunk < this.meta.chunks; chunk++) {
      if (this.#isDone(chunk)) continue;
      const process = this.#claims.processAt(chunk);
      if (process === undefined) return undefined;
      processes.add(process);
    }
    return [...processes];
  }

  /** Writes a claimed chunk; a second writing of the same chunk changes nothing. */
  commit(chunk: number, records: readonly SourceRecord[]): void {
    const values = records.map(({ label, features }) => {
      const value = Buffer.allocUnsafe(this.#valueBytes);
      value.writeInt32LE(label, LABEL_OFFSET);
      value.set(features, HEADER_BYTES);
      value.writeUInt32LE(crc32(value.subarray(LABEL_OFFSET)), 0);
      return value;
    });
    writing(this.folder, () =>
      this.#claims.finish(chunk, () => {
        if (this.#isDone(chunk)) return;
        for (const [i, { index }] of records.entries()) this.#records.putSync(index, values[i]);
        this.#state.putSync(['done', chunk], true);
        this.#state.putSync('recordsDone', (this.#state.get('recordsDone') ?? 0) + records.length);
      }),
    );
  }

  /** Chunks that this process claimed and has not committed. */
  get unfinished(): ReadonlySet<number> {
    return this.#claims.mine;
  }

  /** Lets others take what this process has claimed. */
  release(): void {
    this.#claims.release();
  }

  /**
   * One record, checked. The features lie in a buffer that the next read overwrites: copy them at once.
   * @throws RunError when the record is missing or damaged
   */
  read(index: number): { label: number; features: Uint8Array } {
    const value = this.#records.getBinaryFast(index);
    const wrong =
      value === undefined
        ? 'is missing'
        : value.length !== this.#valueBytes
          ? `has ${value.length} bytes, expected ${this.#valueBytes}`
          : crc32(value.subarray(LABEL_OFFSET)) !== value.readUInt32LE(0)
            ? 'does not have the checksum that was written'
            : undefined;
    if (wrong !== undefined || value === undefined) {
      throw new RunError(
        `record ${index} of the cache in ${this.folder} ${wrong}: the disk or a program changed it; delete that folder and start again`,
      );
    }
    return { label: value.readInt32LE(LABEL_OFFSET), features: value.subarray(HEADER_BYTES) };
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}
