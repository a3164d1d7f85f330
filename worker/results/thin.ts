// A curve of any length as at most so many points, in one pass and bounded memory: neighbours are averaged, and
// whenever there are too many averages, pairs of them become one. Smoothing then works on the averages.

export interface Bin {
  /** Mean of the values; NaN values (a skipped step) are left out. */
  readonly mean: number;
  readonly x: number;
}

/** Averages neighbouring values so that at most `most` bins remain. */
export class Thinner {
  /** Values of one bin; doubles as values come. */
  #width = 1;
  #count: number[] = [];
  #sumX: number[] = [];
  #sumY: number[] = [];
  #seen = 0;

  constructor(private readonly most: number) {
    if (!(most >= 2)) throw new RangeError(`expected at least 2 points, got ${most}`);
  }

  add(x: number, y: number): void {
    if (!Number.isFinite(x) || !Number.isFinite(y)) return;
    const bin = Math.floor(this.#seen++ / this.#width);
    if (bin === this.#count.length) {
      this.#count.push(0);
      this.#sumX.push(0);
      this.#sumY.push(0);
    }
    this.#count[bin]++;
    this.#sumX[bin] += x;
    this.#sumY[bin] += y;
    if (this.#count.length > this.most) this.#halve();
  }

  /** The averages so far, by rising place. */
  bins(): Bin[] {
    return this.#count.map((count, bin) => ({ x: this.#sumX[bin] / count, mean: this.#sumY[bin] / count }));
  }

  #halve(): void {
    for (const sums of [this.#count, this.#sumX, this.#sumY]) {
      const half = Math.ceil(sums.length / 2);
      for (let bin = 0; bin < half; bin++) sums[bin] = sums[2 * bin] + (sums[2 * bin + 1] ?? 0);
      sums.length = half;
    }
    this.#width *= 2;
  }
}

/**
 * A centred moving average with triangular weights: no lag, and no ringing at a spike. At both ends the half of the
 * window that is there is used alone, so that the line does not end in noise.
 * @param radius neighbours on each side
 */
export function smooth(bins: readonly Bin[], radius: number): Bin[] {
  return bins.map(({ x }, centre) => {
    let sum = 0;
    let weights = 0;
    const last = Math.min(bins.length - 1, centre + radius);
    for (let index = Math.max(0, centre - radius); index <= last; index++) {
      const weight = radius + 1 - Math.abs(index - centre);
      sum += weight * bins[index].mean;
      weights += weight;
    }
    return { x, mean: sum / weights };
  });
}
