// With backup workers: which steps the servers have decided, and what came of those that went on without this client.
// Steps are counted as the first server of the view tells them, each once and in order; sums, not lists, since a
// client that stands still may be any number of steps behind.
import type { StepOutcome__Output } from '../rpc/generated/gradloom/v1/StepOutcome.js';

/** What came of the steps that a client has been told of since the last time. */
export interface PassedSteps {
  applied: number;
  skipped: number;
  /** Of the steps that were applied. */
  samples: number;
  lossSum: number;
  correct: number;
  /** By rank: steps that went on without the worker. */
  late: number[];
}

const none = (workers: number): PassedSteps => ({
  applied: 0,
  skipped: 0,
  samples: 0,
  lossSum: 0,
  correct: 0,
  late: new Array(workers).fill(0),
});

export class DecidedSteps {
  readonly #workers: number;
  readonly #rank: number | undefined;
  /** Steps that each server of the view has decided. */
  readonly #decided: number[];
  #last: StepOutcome__Output | undefined;
  #passed: PassedSteps;

  /** @param rank this client's; undefined: it contributes nothing */
  constructor(workers: number, servers: number, rank: number | undefined) {
    this.#workers = workers;
    this.#rank = rank;
    this.#decided = new Array(servers).fill(0);
    this.#passed = none(workers);
  }

  /** Steps that some server has decided: all others are about to. */
  get newest(): number {
    return Math.max(...this.#decided);
  }

  /** Servers that have not told the outcome of the step before `step`. */
  behind(step: number): number[] {
    return this.#decided.flatMap((decided, server) => (decided < step ? [server] : []));
  }

  /** The last outcome that the first server has told. */
  get last(): StepOutcome__Output | undefined {
    return this.#last;
  }

  /** Whether the step went on without this client. */
  leavesOut({ contributors }: StepOutcome__Output): boolean {
    return this.#rank === undefined || !contributors.includes(this.#rank);
  }

  tell(server: number, outcome: StepOutcome__Output): void {
    this.#decided[server] = outcome.step + 1;
    if (server !== 0) return;
    this.#last = outcome;
    const passed = this.#passed;
    for (let rank = 0; rank < this.#workers; rank++)
      if (!outcome.contributors.includes(rank)) passed.late[rank]++;
    if (outcome.skipped) {
      passed.skipped++;
      return;
    }
    passed.applied++;
    passed.samples += outcome.samples;
    passed.lossSum += outcome.loss * outcome.samples;
    passed.correct += outcome.accuracy * outcome.samples;
  }

  /** What came of the steps since the last call. */
  take(): PassedSteps {
    const passed = this.#passed;
    this.#passed = none(this.#workers);
    return passed;
  }
}
