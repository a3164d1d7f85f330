// Sums of gradients by row, for the rows of one step: open addressing in typed arrays (a JS Map ends at 2^24 entries
// and boxes every number). It grows with the rows of a step and keeps its size for the next, until it is reset.

const FIRST_ELEMENTS = 16 * 1024;
const FIRST_ROWS_MIN = 16;

/** Bytes that the sum of one row takes, with its id and two places in the index. */
export const sumBytes = (width: number) => 4 * width + 12;

export class RowSums {
  /** Rows in the order in which they were added first; `size` of them. */
  rows: Uint32Array;
  /** `size` sums of `width` elements. */
  sums: Float32Array;
  size = 0;
  /** Position of a row + 1, at its hash or after; twice as long as `rows`. */
  #index: Int32Array;

  constructor(readonly width: number) {
    const rows = Math.max(FIRST_ROWS_MIN, 2 ** Math.floor(Math.log2(FIRST_ELEMENTS / width)));
    this.rows = new Uint32Array(rows);
    this.sums = new Float32Array(rows * width);
    this.#index = new Int32Array(2 * rows);
  }

  /** Bytes of its memory, used or not. */
  get bytes(): number {
    return this.rows.length * sumBytes(this.width);
  }

  /** Adds `weight` times the `width` values at `from`, rounded to fp32 after the product and after the sum. */
  add(row: number, values: Float32Array, from: number, weight: number): void {
    const { width } = this;
    const factor = Math.fround(weight);
    const at = this.#positionOf(row) * width;
    for (let k = 0; k < width; k++) this.sums[at + k] += Math.fround(values[from + k] * factor);
  }

  clear(): void {
    this.#index.fill(0);
    this.sums.fill(0, 0, this.size * this.width);
    this.size = 0;
  }

  #positionOf(row: number): number {
    const mask = this.#index.length - 1;
    let at = hash(row) & mask;
    for (let position = this.#index[at]; position !== 0; position = this.#index[at]) {
      if (this.rows[position - 1] === row) return position - 1;
      at = (at + 1) & mask;
    }
    if (this.size === this.rows.length) {
      this.#grow();
      return this.#positionOf(row);
    }
    this.rows[this.size] = row;
    this.#index[at] = ++this.size;
    return this.size - 1;
  }

  #grow(): void {
    const rows = new Uint32Array(2 * this.rows.length);
    rows.set(this.rows);
    this.rows = rows;
    const sums = new Float32Array(2 * this.sums.length);
    sums.set(this.sums);
    this.sums = sums;
    this.#index = new Int32Array(2 * rows.length);
    const mask = this.#index.length - 1;
    for (let position = 0; position < this.size; position++) {
      let at = hash(rows[position]) & mask;
      while (this.#index[at] !== 0) at = (at + 1) & mask;
      this.#index[at] = position + 1;
    }
  }
}

/** Spreads ids that share their remainder (Murmur3's finalizer, Appleby). */
function hash(row: number): number {
  let h = row;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
