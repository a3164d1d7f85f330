// Initial values of a row: a function of (seed, table, row) alone, so they are the same on whatever server the row
// lives and whenever it is touched first. Philox with the row as its counter (Salmon et al., SC 2011); normal numbers
// by Box and Muller's transform.
import { keyedRandom, philox } from '../random.js';
import type { RowTableSpec } from './tables.js';

const words = new Uint32Array(4);

/** Writes `width` initial values of a row at `at`. */
export type FillRow = (row: number, out: Float32Array, at: number) => void;

export function rowInitializer(
  { name, width, initializer }: Pick<RowTableSpec, 'name' | 'width' | 'initializer'>,
  seed: number,
): FillRow {
  const { kind, scale } = initializer;
  const key = keyedRandom(seed, 'rows', name);
  const key0 = key.uint32();
  const key1 = key.uint32();
  const draw = (row: number, index: number) => {
    words[0] = row;
    words[1] = index;
    words[2] = 0;
    words[3] = 0;
    philox(words, key0, key1);
  };
  if (kind === 'zeros') return (_row, out, at) => void out.fill(0, at, at + width);
  if (kind === 'uniform')
    return (row, out, at) => {
      for (let k = 0; k < width; k += 4) {
        draw(row, k);
        for (let i = 0; i < 4 && k + i < width; i++)
          out[at + k + i] = ((words[i] >>> 8) / 0x800000 - 1) * scale;
      }
    };
  return (row, out, at) => {
    for (let k = 0; k < width; k += 4) {
      draw(row, k);
      for (let i = 0; i < 4 && k + i < width; i++) {
        const radius = Math.sqrt(-2 * Math.log((words[i & 2] + 0.5) / 0x100000000));
        const angle = (2 * Math.PI * words[(i & 2) + 1]) / 0x100000000;
        out[at + k + i] = scale * radius * (i & 1 ? Math.sin(angle) : Math.cos(angle));
      }
    }
  };
}
