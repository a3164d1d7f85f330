// Reads `tables.safetensors`, the embedding tables that a run leaves: any row by its id, as `pullRows` gave it at the
// end of the run. Rows that some step had updated are read from the file when they are asked for; all others are their
// initial values, which the file's metadata define. Only the ids of the updated rows are held in memory (4 bytes each).
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { unreadable } from '../atomic-file.js';
import { UserError } from '../errors.js';
import { SAVED_ROWS_READ_BYTES, TABLES_MAX } from '../limits.js';
import { readBytes, readHeader } from '../safetensors.js';
import { type FillRow, rowInitializer } from './row-initializer.js';
import { ROW_INITIALIZERS, type RowTableSpec, rowsFault } from './tables.js';
import { uniqueIds } from './unique.js';

/** What a table of the file is. */
export type SavedTableSpec = Pick<RowTableSpec, 'name' | 'rows' | 'width' | 'initializer'>;

const schema = z
  .array(
    z.object({
      name: z.string(),
      rows: z.number(),
      width: z.number(),
      initializer: z.object({ kind: z.enum(ROW_INITIALIZERS), scale: z.number() }),
    }),
  )
  .min(1)
  .max(TABLES_MAX);

interface Saved {
  readonly spec: SavedTableSpec;
  /** Writes a row's initial values. */
  readonly fill: FillRow;
  /** Rows that some step had updated. */
  readonly updated: number;
  /** Positions in the file of their ids and values. */
  readonly idsAt: number;
  readonly rowsAt: number;
  /** There once they have been read and checked. */
  ids?: Promise<Uint32Array>;
}

export class SavedTables {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #tables: readonly Saved[];

  private constructor(
    path: string,
    handle: FileHandle,
    tables: readonly Saved[],
    /** Id and job of the run. */
    readonly run: string,
    readonly job: string,
  ) {
    this.#path = path;
    this.#handle = handle;
    this.#tables = tables;
  }

  /** Opens a file and checks its header; `openTables`. */
  static async open(path: string): Promise<SavedTables> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (error) {
      throw unreadable(path, error);
    }
    try {
      const { entries, metadata } = await readHeader(path, handle, 2 * TABLES_MAX);
      const seed = Number(metadata.seed);
      if (!/^-?\d+$/.test(metadata.seed ?? '') || !Number.isSafeInteger(seed))
        throw untrusted(
          path,
          `expected a whole number as the seed of the run, got ${metadata.seed ?? 'none'}`,
        );
      const stored = new Map(entries.map((entry) => [entry.name, entry]));
      const tables = specsOf(path, metadata.tables).map((spec): Saved => {
        const ids = stored.get(`${spec.name}/ids`);
        const rows = stored.get(`${spec.name}/rows`);
        const updated = ids?.shape[0] ?? 0;
        if (ids?.dtype !== 'U32' || ids.shape.length !== 1 || updated > spec.rows)
          throw untrusted(
            path,
            `expected at most ${spec.rows} ids (U32) in '${spec.name}/ids', got ${shown(ids)}`,
          );
        if (rows?.dtype !== 'F32' || String(rows.shape) !== String([updated, spec.width]))
          throw untrusted(
            path,
            `expected ${updated} rows of ${spec.width} (F32) in '${spec.name}/rows', got ${shown(rows)}`,
          );
        const fill = rowInitializer(spec, seed);
        return { spec, fill, updated, idsAt: ids.begin, rowsAt: rows.begin };
      });
      return new SavedTables(path, handle, tables, metadata.run ?? '', metadata.job ?? '');
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get tables(): readonly SavedTableSpec[] {
    return this.#tables.map(({ spec }) => spec);
  }

  /** Rows of a table that some step of the run had updated. Throws UserError for a table that is not there. */
  updated(table: string): number {
    return this.#table(table, 'updated').updated;
  }

  /**
   * Rows by id, in the order of the ids, one of which may come more than once: `ids.length` × width, row-major. Throws
   * UserError for a table or an id that is not there, and for a file that is not what was written.
   */
  async read(table: string, ids: ArrayLike<number>): Promise<Float32Array> {
    const saved = this.#table(table, 'read');
    const { rows, width } = saved.spec;
    const wanted = uniqueIds(ids, rows, table);
    const values = await this.#rows(saved, wanted.ids);
    if (wanted.isIdentity) return values;
    const out = new Float32Array(ids.length * width);
    for (let i = 0; i < ids.length; i++) {
      const from = wanted.positions[i] * width;
      out.set(values.subarray(from, from + width), i * width);
    }
    return out;
  }

  /**
   * All rows that some step had updated, in ascending order of their ids, a few at a time (SAVED_ROWS_READ_BYTES):
   * values are as many × width. Throws UserError as `read`.
   */
  async *scan(table: string): AsyncGenerator<{ ids: Uint32Array; values: Float32Array }> {
    const saved = this.#table(table, 'scan');
    const { width } = saved.spec;
    const all = await this.#ids(saved);
    const most = Math.max(1, Math.floor(SAVED_ROWS_READ_BYTES / (4 * width)));
    for (let at = 0; at < all.length; at += most) {
      const ids = all.slice(at, at + most);
      const values = new Float32Array(ids.length * width);
      await this.#readRows(saved, at, values);
      yield { ids, values };
    }
  }

  /** Closes the file: nothing can be read any more. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Rows by ids that rise strictly. */
  async #rows(saved: Saved, wanted: Uint32Array): Promise<Float32Array> {
    const { width } = saved.spec;
    const values = new Float32Array(wanted.length * width);
    const ids = await this.#ids(saved);
    let place = 0;
    for (let at = 0; at < wanted.length; ) {
      place = firstFrom(ids, wanted[at], place);
      // As many as lie one behind the other in the file, in one read.
      let run = 0;
      while (at + run < wanted.length && ids[place + run] === wanted[at + run]) run++;
      if (run > 0) await this.#readRows(saved, place, values.subarray(at * width, (at + run) * width));
      else saved.fill(wanted[at], values, at * width);
      at += Math.max(1, run);
      place += run;
    }
    return values;
  }

  #readRows({ spec, rowsAt }: Saved, first: number, values: Float32Array): Promise<void> {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return readBytes(this.#path, this.#handle, bytes, rowsAt + 4 * first * spec.width);
  }

  /** The ids of the updated rows, read and checked once. */
  #ids(saved: Saved): Promise<Uint32Array> {
    saved.ids ??= this.#readIds(saved);
    return saved.ids;
  }

  async #readIds({ spec, updated, idsAt }: Saved): Promise<Uint32Array> {
    const ids = new Uint32Array(updated);
    await readBytes(this.#path, this.#handle, new Uint8Array(ids.buffer), idsAt);
    for (let i = 0; i < ids.length; i++)
      if (ids[i] >= spec.rows || (i > 0 && ids[i] <= ids[i - 1]))
        throw untrusted(
          this.#path,
          `expected ids below ${spec.rows} that rise strictly in '${spec.name}/ids', got ${ids[i]}${i > 0 ? ` after ${ids[i - 1]}` : ''}`,
        );
    return ids;
  }

  #table(name: string, verb: string): Saved {
    const found = this.#tables.find(({ spec }) => spec.name === name);
    if (found) return found;
    const names = this.#tables.map(({ spec }) => `'${spec.name}'`).join(', ');
    throw new UserError(`${verb}: expected a table of ${names}, got '${name}'`);
  }
}

/**
 * Opens the tables that a run has saved (`tables.safetensors`). Throws UserError that names the file where it cannot be
 * read, or is not what was written.
 */
export function openTables(path: string): Promise<SavedTables> {
  return SavedTables.open(path);
}

function specsOf(path: string, text: string | undefined): SavedTableSpec[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text ?? '');
  } catch {
    throw untrusted(path, 'its metadata do not say in JSON which tables it holds');
  }
  const result = schema.safeParse(parsed);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw untrusted(path, `tables: ${issue.path.join('.') || 'all'}: ${issue.message}`);
  }
  for (const table of result.data) {
    const fault = rowsFault(table);
    if (fault) throw untrusted(path, fault);
  }
  return result.data;
}

/** The first place from `from` on whose id is not below `id`. */
function firstFrom(ids: Uint32Array, id: number, from: number): number {
  let low = from;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ids[middle] < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

const shown = (entry: { dtype: string; shape: readonly number[] } | undefined) =>
  entry ? `${entry.dtype} of [${entry.shape}]` : 'nothing';

const untrusted = (path: string, what: string) =>
  new UserError(`${path} holds no tables that can be trusted: ${what}; take the file that a run wrote`);
