// The headers of the open step and the verdict on it: applied, or skipped everywhere because some worker's
// gradients are not finite. Every server sees the same headers, so every server takes the same verdict
// without asking another. Pure.
import { refuse } from '../shared/rpc/refusal.js';

export interface Header {
  readonly samples: number;
  readonly allFinite: boolean;
  /** Power of two by which the worker's gradients were multiplied. */
  readonly lossScale: number;
  readonly lossSum: number;
  readonly correct: number;
}

export interface Outcome {
  readonly step: number;
  readonly skipped: boolean;
  readonly samples: number;
  /** Means over the step's samples. */
  readonly loss: number;
  readonly accuracy: number;
  /** Ranks whose gradients were not finite. */
  readonly notFinite: readonly number[];
}

const isPowerOfTwo = (value: number) =>
  value > 0 && Number.isFinite(value) && Number.isInteger(Math.log2(value));

/** Throws Refused for a header that no worker can mean. */
export function checkHeader(worker: number, header: Header): void {
  if (header.samples < 1)
    throw refuse('MALFORMED', `worker ${worker}: expected at least one sample, got ${header.samples}`);
  if (!isPowerOfTwo(header.lossScale))
    throw refuse(
      'MALFORMED',
      `worker ${worker}: expected a power of two as loss scale, got ${header.lossScale}`,
    );
}

export class StepHeaders {
  readonly #headers: (Header | undefined)[];
  #missing: number;
  #step: number;

  /** @param step the first that is open */
  constructor(workers: number, step = 0) {
    this.#step = step;
    this.#headers = new Array(workers).fill(undefined);
    this.#missing = workers;
  }

  get step(): number {
    return this.#step;
  }

  has(worker: number): boolean {
    return this.#headers[worker] !== undefined;
  }

  /** Ranks without a header of the open step. */
  missing(): number[] {
    return this.#headers.flatMap((header, rank) => (header ? [] : [rank]));
  }

  /** Takes a header; the verdict, if it was the last one missing. Repeated ones change nothing. Throws Refused. */
  add(worker: number, step: number, header: Header): Outcome | undefined {
    if (worker >= this.#headers.length)
      throw refuse('UNKNOWN_WORKER', `expected a rank below ${this.#headers.length}, got ${worker}`);
    if (step < this.#step) return undefined;
    if (step > this.#step)
      throw refuse(
        'STEP',
        `worker ${worker}: expected the header of step ${this.#step}, got step ${step}; wait for the step's outcome`,
      );
    checkHeader(worker, header);
    if (this.#headers[worker]) return undefined;
    this.#headers[worker] = header;
    this.#missing--;
    return this.#missing === 0 ? this.#verdict() : undefined;
  }

  /**
   * Weight of a worker's contribution in the sum: its samples, for a gradient with the loss scale taken out (exact,
   * since that is a power of two).
   */
  weight(worker: number, isGradient: boolean): number {
    const header = this.#headers[worker] as Header;
    return isGradient ? header.samples / header.lossScale : header.samples;
  }

  /** The power of two that is in a worker's gradients of the open step. */
  lossScale(worker: number): number {
    return (this.#headers[worker] as Header).lossScale;
  }

  totalSamples(): number {
    return this.#headers.reduce((sum, header) => sum + (header?.samples ?? 0), 0);
  }

  next(): void {
    this.#headers.fill(undefined);
    this.#missing = this.#headers.length;
    this.#step++;
  }

  #verdict(): Outcome {
    const headers = this.#headers as Header[];
    const samples = this.totalSamples();
    const notFinite = headers.flatMap((header, rank) => (header.allFinite ? [] : [rank]));
    const sum = (of: (header: Header) => number) => headers.reduce((total, header) => total + of(header), 0);
    return {
      step: this.#step,
      skipped: notFinite.length > 0,
      samples,
      loss: sum((header) => header.lossSum) / samples,
      accuracy: sum((header) => header.correct) / samples,
      notFinite,
    };
  }
}
