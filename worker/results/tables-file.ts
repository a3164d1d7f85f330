// Embedding tables as a safetensors file: of each table the rows that some step has updated, `NAME/ids` (U32, ascending)
// and `NAME/rows` (F32, one row for each id). They are written as they come from the servers, so the file may be larger
// than memory; how many there are is known only then, so room is left for the header and it is written last.
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, temporaryName, unwritable } from '../../shared/atomic-file.js';
import type { RowTableSpec } from '../../shared/rows/tables.js';
import { safetensorsHeader } from '../../shared/safetensors.js';

interface Part {
  readonly count: number;
  /** Positions in the file where the next ids and rows go. */
  ids: number;
  rows: number;
}

export class TablesFile {
  readonly #parts: Part[] = [];
  #end: number;

  private constructor(
    readonly path: string,
    readonly tables: readonly RowTableSpec[],
    readonly metadata: Readonly<Record<string, string>>,
    private readonly temporary: string,
    private readonly handle: FileHandle,
  ) {
    this.#end = this.#header(tables.map(({ rows }) => rows)).length;
  }

  /** Throws RunError where the disk does not take it, as all methods do. */
  static async open(
    path: string,
    tables: readonly RowTableSpec[],
    metadata: Readonly<Record<string, string>>,
  ): Promise<TablesFile> {
    const temporary = temporaryName(path);
    const handle = await writing(path, () => open(temporary, 'wx'));
    return new TablesFile(path, tables, metadata, temporary, handle);
  }

  /** Begins the next table, which has so many rows. */
  begin(count: number): void {
    const { width } = this.tables[this.#parts.length];
    const rows = this.#end + 4 * count;
    this.#parts.push({ count, ids: this.#end, rows });
    this.#end = rows + 4 * count * width;
  }

  /** Adds rows to the table that was begun last. */
  async write(ids: Uint32Array, values: Float32Array): Promise<void> {
    const part = this.#parts.at(-1) as Part;
    await this.#put(ids, part.ids);
    await this.#put(values, part.rows);
    part.ids += ids.byteLength;
    part.rows += values.byteLength;
  }

  /** Ends the file and puts it in its place. */
  async close(): Promise<void> {
    const room = this.#header(this.tables.map(({ rows }) => rows)).length;
    const header = this.#header(
      this.#parts.map(({ count }) => count),
      room,
    );
    await this.#put(header, 0);
    await writing(this.path, async () => {
      await this.handle.sync();
      await this.handle.close();
      await rename(this.temporary, this.path);
      await syncFolder(dirname(this.path));
    });
  }

  /** Removes what was written, where it was not closed. */
  async abandon(): Promise<void> {
    await this.handle.close();
    await rm(this.temporary, { force: true });
  }

  #header(counts: readonly number[], bytes = 0): Buffer {
    const tensors = this.tables.flatMap(({ name, width }, index) => [
      { name: `${name}/ids`, dtype: 'U32' as const, shape: [counts[index]] },
      { name: `${name}/rows`, dtype: 'F32' as const, shape: [counts[index], width] },
    ]);
    return safetensorsHeader(tensors, this.metadata, bytes);
  }

  async #put(view: ArrayBufferView, position: number): Promise<void> {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    await writing(this.path, async () => {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    });
  }
}

async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unwritable(path, error);
  }
}
