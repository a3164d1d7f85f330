// Whose contributions a step takes: those of all workers, or with b backup workers those of the first n − b (Chen et
// al., "Revisiting distributed synchronous SGD", 2016). All servers must take the same: the first server of the view
// decides, by the order in which the headers of the step come to it, and tells the others. A worker sends the header
// of a step only when every server has closed the one before, so a cut never comes to a server before its step. Pure.
import { refuse } from '../../shared/rpc/refusal.js';
import type { Cut } from '../effects.js';

export interface StepCutOptions {
  readonly workers: number;
  /** Workers that a step goes on without; 0: it takes all, and nobody has to be told. */
  readonly backupWorkers: number;
  /** Whether this server decides. */
  readonly leads: boolean;
}

export class StepCut {
  readonly #options: StepCutOptions;
  readonly #all: readonly number[];
  /** Ranks with a header of the open step, in the order in which they came. */
  #arrived: number[] = [];
  #members: readonly number[] | undefined;
  /** The last step that took each worker's contributions. */
  readonly #lastTaken: number[];

  constructor(options: StepCutOptions) {
    this.#options = options;
    this.#all = Array.from({ length: options.workers }, (_, rank) => rank);
    this.#lastTaken = this.#all.map(() => -1);
    this.#members = this.isWhole ? this.#all : undefined;
  }

  /** Whether every step takes all workers. */
  get isWhole(): boolean {
    return this.#options.backupWorkers === 0;
  }

  /** Contributions that a step takes. */
  get size(): number {
    return this.#options.workers - this.#options.backupWorkers;
  }

  /** Ranks whose contributions the open step takes, in order; undefined while that is not decided. */
  get members(): readonly number[] | undefined {
    return this.#members;
  }

  /** Whether the cut, and nothing else, is missing here. */
  get isAwaited(): boolean {
    return !this.#members && !this.#options.leads && this.#arrived.length >= this.size;
  }

  /** Whether a step took this worker's contributions. */
  took(worker: number, step: number): boolean {
    return this.isWhole || this.#lastTaken[worker] === step;
  }

  /** A worker's first header of the open step: the cut to tell the others, where this server decides it with that. */
  header(worker: number, step: number): Cut | undefined {
    if (this.isWhole) return undefined;
    this.#arrived.push(worker);
    if (this.#members || !this.#options.leads || this.#arrived.length < this.size) return undefined;
    this.#members = [...this.#arrived].sort((a, b) => a - b);
    return { step, contributors: this.#members };
  }

  /**
   * What the server that decides has told of the open step; a repetition changes nothing.
   * @returns whether it is new. Throws Refused
   */
  take({ step, contributors }: Cut): boolean {
    const { workers, leads } = this.#options;
    if (this.isWhole || leads)
      throw refuse(
        'NOT_NOW',
        `expected no contributors of step ${step} from another server: ${leads && !this.isWhole ? 'this one decides' : 'the run has no backup workers'}`,
      );
    const { size } = this;
    const ascending = contributors.every((rank, at) => at === 0 || rank > contributors[at - 1]);
    if (contributors.length !== size || !ascending || (contributors.at(-1) ?? 0) >= workers)
      throw refuse(
        'MALFORMED',
        `expected ${size} ranks below ${workers} in rising order as contributors of step ${step}, got [${contributors.slice(0, size + 1)}]`,
      );
    if (this.#members) {
      if (contributors.every((rank, at) => rank === this.#members?.[at])) return false;
      throw refuse(
        'MALFORMED',
        `expected the contributors of step ${step} to stay [${this.#members}], got [${contributors}]`,
      );
    }
    this.#members = [...contributors];
    return true;
  }

  /** The open step is closed: the next is open. */
  next(step: number): void {
    if (this.isWhole) return;
    for (const rank of this.#members ?? []) this.#lastTaken[rank] = step;
    this.#members = undefined;
    this.#arrived = [];
  }
}
