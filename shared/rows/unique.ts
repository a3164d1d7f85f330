// The ids of a batch, each once: what is asked for and pushed is one row for each id however often the batch has it.
import { UserError } from '../errors.js';

export interface UniqueIds {
  /** Strictly ascending. */
  readonly ids: Uint32Array;
  /** For each id of the batch, in its order, the index in `ids`. */
  readonly positions: Int32Array;
  /** The batch has each id once, in ascending order. */
  readonly isIdentity: boolean;
}

/** Throws UserError for an id that is no whole number from 0 to rows - 1. */
export function uniqueIds(batch: ArrayLike<number>, rows: number, table: string): UniqueIds {
  let isIdentity = true;
  for (let i = 0; i < batch.length; i++) {
    const id = batch[i];
    if (i > 0 && id <= batch[i - 1]) isIdentity = false;
    if (!(Number.isInteger(id) && id >= 0 && id < rows))
      throw new UserError(`table '${table}': expected row ids from 0 to ${rows - 1}, got ${id}`);
  }
  const sorted = new Uint32Array(batch);
  const positions = new Int32Array(batch.length);
  if (isIdentity) {
    for (let i = 0; i < positions.length; i++) positions[i] = i;
    return { ids: sorted, positions, isIdentity };
  }
  sorted.sort();
  let count = 0;
  for (let i = 0; i < sorted.length; i++)
    if (i === 0 || sorted[i] !== sorted[i - 1]) sorted[count++] = sorted[i];
  const ids = sorted.slice(0, count);
  for (let i = 0; i < batch.length; i++) positions[i] = indexOf(ids, batch[i]);
  return { ids, positions, isIdentity };
}

function indexOf(ids: Uint32Array, id: number): number {
  let low = 0;
  let high = ids.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids[middle] < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Gradients of the batch's rows added up by id, in the batch's order: `ids.length` rows of `width`, in new memory. */
export function sumByPosition(
  { ids, positions, isIdentity }: UniqueIds,
  gradients: Float32Array,
  width: number,
): Float32Array {
  if (isIdentity) return gradients.slice();
  const sums = new Float32Array(ids.length * width);
  for (let i = 0; i < positions.length; i++) {
    const to = positions[i] * width;
    const from = i * width;
    for (let k = 0; k < width; k++) sums[to + k] += gradients[from + k];
  }
  return sums;
}
