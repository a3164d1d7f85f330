// The headers of the open step and the verdict on it: applied, or skipped everywhere because some worker's
// gradients are not finite. Every server sees the same headers of the workers that the step takes, so every server
// takes the same verdict without asking another. Pure.
import { refuse } from '../shared/rpc/refusal.js';

export interface Header {
  readonly samples: number;
  readonly allFinite: boolean;
  /** Power of two by which the worker's gradients were multiplied. */
  readonly lossScale: number;
  readonly lossSum: number;
  readonly correct: number;
}

export interface Verdict {
  readonly step: number;
  readonly skipped: boolean;
  readonly samples: number;
  /** Means over the step's samples. */
  readonly loss: number;
  readonly accuracy: number;
  /** Ranks whose gradients were not finite. */
  readonly notFinite: readonly number[];
}

export interface Outcome extends Verdict {
  /** With backup workers: the ranks that the step takes, in order; else empty. */
  readonly contributors: readonly number[];
}

/** As it travels. */
export const outcomeToWire = (outcome: Outcome) => ({
  ...outcome,
  notFinite: [...outcome.notFinite],
  contributors: [...outcome.contributors],
});

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
  #step: number;

  /**
   * @param workers of the run
   * @param step the first that is open
   * @param members ranks of those who take part, rising
   */
  constructor(
    workers: number,
    step = 0,
    readonly members: readonly number[] = Array.from({ length: workers }, (_, rank) => rank),
  ) {
    this.#step = step;
    this.#headers = new Array(workers).fill(undefined);
  }

  /** Whether the worker has said that no contributions of the open step follow. */
  skips(worker: number): boolean {
    return this.#headers[worker]?.allFinite === false;
  }

  get step(): number {
    return this.#step;
  }

  has(worker: number): boolean {
    return this.#headers[worker] !== undefined;
  }

  /** Ranks without a header of the open step. */
  missing(): number[] {
    return this.members.filter((rank) => !this.#headers[rank]);
  }

  /** Takes a header, and says whether it is new. Repeated and old ones change nothing. Throws Refused. */
  add(worker: number, step: number, header: Header): boolean {
    if (!this.members.includes(worker))
      throw refuse('UNKNOWN_WORKER', `expected one of the ranks ${this.members.join(', ')}, got ${worker}`);
    if (step < this.#step) return false;
    if (step > this.#step)
      throw refuse(
        'STEP',
        `worker ${worker}: expected the header of step ${this.#step}, got step ${step}; wait for the step's outcome`,
      );
    checkHeader(worker, header);
    if (this.#headers[worker]) return false;
    this.#headers[worker] = header;
    return true;
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

  next(): void {
    this.#headers.fill(undefined);
    this.#step++;
  }

  /** The verdict on a step that takes these ranks' contributions, by default all; undefined while a header of theirs is missing. */
  verdict(members: readonly number[] = this.members): Verdict | undefined {
    if (!members.every((rank) => this.#headers[rank])) return undefined;
    const headers = members.map((rank) => this.#headers[rank] as Header);
    const sum = (of: (header: Header) => number) => headers.reduce((total, header) => total + of(header), 0);
    const samples = sum((header) => header.samples);
    const notFinite = members.filter((_, at) => !headers[at].allFinite);
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
