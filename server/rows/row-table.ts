// The rows of one table that one server owns. Every row has its place from the beginning (partitions are dealt by
// remainder, so there is nothing to search), its memory from its first update on: pages of about a megabyte that are
// made when the first of their rows is updated. Pages are not WebAssembly memory, which ends at 4 GiB.
import { ROW_PARTITIONS } from '../../shared/limits.js';
import { initialSlots } from '../../shared/optimizer/apply.js';
import { learningRateAt } from '../../shared/optimizer/schedule.js';
import { placesPerServerMax } from '../../shared/rows/partitions.js';
import { type FillRow, rowInitializer } from '../../shared/rows/row-initializer.js';
import type { RowTableSpec } from '../../shared/rows/tables.js';
import { updateRow } from './row-update.js';

const PAGE_ELEMENTS = 256 * 1024;
/** Ids that one scan looks at: some milliseconds. */
const SCAN_IDS = 1024 * 1024;
/** Of a row: its count of updates. */
const COUNT_BYTES = 4;

interface Page {
  /** Rows one after the other: values, then each slot. */
  readonly memory: Float32Array;
  /** Updates of each row; 0: it has its initial values, which are not in memory. */
  readonly counts: Uint32Array;
}

const elementsOfRow = ({ width, optimizer }: RowTableSpec) => width * (1 + initialSlots(optimizer).length);

/** Bytes of a table on one of so many servers when every row has been updated. */
export function tableBytes(table: RowTableSpec, servers: number): number {
  return placesPerServerMax(table.rows, servers) * (4 * elementsOfRow(table) + COUNT_BYTES);
}

export class RowTable {
  readonly #fill: FillRow;
  readonly #slotValues: readonly number[];
  readonly #elements: number;
  /** Rows of a page are a power of two. */
  readonly #pageShift: number;
  readonly #pages: (Page | undefined)[];
  /** Rows that can live here. */
  readonly #places: number;
  /** Position of each partition among those of this server; -1: another's. */
  readonly #positions = new Int32Array(ROW_PARTITIONS).fill(-1);
  readonly #partitions: number;
  /** The learning rate, and of which step it is. */
  #learningRate = 0;
  #rateStep = -1;
  #bytes = 0;
  #updated = 0;

  /** @param partitions those of this server, ascending */
  constructor(
    readonly spec: RowTableSpec,
    seed: number,
    partitions: readonly number[],
  ) {
    this.#fill = rowInitializer(spec, seed);
    this.#slotValues = initialSlots(spec.optimizer);
    this.#elements = elementsOfRow(spec);
    this.#pageShift = Math.max(0, Math.floor(Math.log2(PAGE_ELEMENTS / this.#elements)));
    for (const [position, partition] of partitions.entries()) this.#positions[partition] = position;
    this.#partitions = partitions.length;
    this.#places = Math.ceil(spec.rows / ROW_PARTITIONS) * partitions.length;
    this.#pages = new Array(Math.ceil(this.#places / 2 ** this.#pageShift)).fill(undefined);
  }

  /** Bytes of the pages that there are. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Rows that have been updated at least once. */
  get updatedRows(): number {
    return this.#updated;
  }

  /** Whether the row is in range and lives here. */
  holds(row: number): boolean {
    return row < this.spec.rows && this.#positions[row % ROW_PARTITIONS] >= 0;
  }

  /** Writes the values of a row that lives here. */
  read(row: number, out: Float32Array, at: number): void {
    const place = this.#placeOf(row);
    const page = this.#pages[Math.floor(place / 2 ** this.#pageShift)];
    const index = place % 2 ** this.#pageShift;
    if (!page || page.counts[index] === 0) return this.#fill(row, out, at);
    const from = index * this.#elements;
    for (let k = 0; k < this.spec.width; k++) out[at + k] = page.memory[from + k];
  }

  /**
   * Rows that have been updated and live here, ascending from `from` on: at most `most` of them, among the next
   * SCAN_IDS ids. Ids go to `ids`, values to `out`.
   * @returns their number, and from where to go on
   */
  scan(from: number, most: number, ids: Uint32Array, out: Float32Array): { count: number; next: number } {
    const { rows, width } = this.spec;
    let count = 0;
    const end = Math.min(rows, from + SCAN_IDS);
    let row = from;
    for (; row < end && count < most; row++) {
      if (this.#positions[row % ROW_PARTITIONS] < 0) continue;
      const place = this.#placeOf(row);
      const page = this.#pages[Math.floor(place / 2 ** this.#pageShift)];
      const index = place % 2 ** this.#pageShift;
      if (!page || page.counts[index] === 0) continue;
      ids[count] = row;
      for (let k = 0; k < width; k++) out[count * width + k] = page.memory[index * this.#elements + k];
      count++;
    }
    return { count, next: row };
  }

  /** Updates a row that lives here by a sum of gradients. */
  update(row: number, gradient: Float32Array, from: number, step: number, gradientScale: number): void {
    const { optimizer, width } = this.spec;
    const place = this.#placeOf(row);
    const page = this.#pageOf(Math.floor(place / 2 ** this.#pageShift));
    const index = place % 2 ** this.#pageShift;
    const at = index * this.#elements;
    if (page.counts[index] === 0) {
      this.#fill(row, page.memory, at);
      for (const [slot, value] of this.#slotValues.entries())
        page.memory.fill(value, at + (slot + 1) * width, at + (slot + 2) * width);
      this.#updated++;
    }
    if (step !== this.#rateStep) {
      this.#rateStep = step;
      this.#learningRate = learningRateAt(optimizer.schedule, optimizer.learningRate, step);
    }
    const count = page.counts[index];
    updateRow(optimizer, {
      memory: page.memory,
      at,
      width,
      gradient,
      from,
      gradientScale,
      learningRate: this.#learningRate,
      count,
    });
    // A count that is full stays: Adam's corrections have long been 1.
    if (count < 0xffffffff) page.counts[index] = count + 1;
  }

  #placeOf(row: number): number {
    return Math.floor(row / ROW_PARTITIONS) * this.#partitions + this.#positions[row % ROW_PARTITIONS];
  }

  #pageOf(index: number): Page {
    let page = this.#pages[index];
    if (!page) {
      const rows = Math.min(2 ** this.#pageShift, this.#places - index * 2 ** this.#pageShift);
      page = { memory: new Float32Array(rows * this.#elements), counts: new Uint32Array(rows) };
      this.#bytes += page.memory.byteLength + page.counts.byteLength;
      this.#pages[index] = page;
    }
    return page;
  }
}
