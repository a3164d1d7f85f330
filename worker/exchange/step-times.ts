// What the last steps took in each phase, for the heartbeat: the keeper compares workers by it.
import { TIMED_STEPS } from '../../shared/limits.js';

/** Phases of a step in StepTimes. */
export const TIMED_PHASES = ['data', 'rows', 'compute', 'optimizer', 'encode', 'wait', 'decode'] as const;
export type TimedSeconds = { [phase in (typeof TIMED_PHASES)[number]]?: number };

export class StepTimes {
  readonly #last: TimedSeconds[] = [];

  /** A step has ended, which took so many seconds in its phases. */
  add(seconds: TimedSeconds): void {
    this.#last.push(seconds);
    if (this.#last.length > TIMED_STEPS) this.#last.shift();
  }

  /** Mean seconds of the last steps in each phase; zeros before the first. */
  means(): Record<(typeof TIMED_PHASES)[number], number> & { steps: number } {
    const steps = this.#last.length;
    const mean = (phase: (typeof TIMED_PHASES)[number]) =>
      this.#last.reduce((sum, seconds) => sum + (seconds[phase] ?? 0), 0) / Math.max(1, steps);
    return {
      steps,
      ...{ data: mean('data'), rows: mean('rows'), compute: mean('compute') },
      ...{ optimizer: mean('optimizer'), encode: mean('encode'), wait: mean('wait'), decode: mean('decode') },
    };
  }
}
