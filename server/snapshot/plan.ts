// The keeper's pure plan of a run's snapshots: at which steps they are cut, whose parts are still missing, and what
// comes of each. A cut lies some steps ahead of everybody, so that the order for it is there before its step begins;
// where it comes too late for one of them, the next is ordered further ahead. No clock, no I/O.
import { SNAPSHOT_AHEAD_MAX_STEPS, SNAPSHOT_AHEAD_STEPS, SNAPSHOTS_OPEN_MAX } from '../../shared/limits.js';

/** What has a part of its own: a shard, by its index, or a worker, by the number of its connection. */
export type Holder = `shard ${number}` | `worker ${number}`;

export interface Part {
  readonly file: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly headerSha256: string;
}

export type Report = Part | { readonly late: true } | { readonly failure: string };

/** What has come of a snapshot when all have reported. */
export type Outcome =
  | { kind: 'whole'; step: number; parts: ReadonlyMap<Holder, Part> }
  /** Nobody's fault: it was ordered too late, and another is ordered. */
  | { kind: 'late'; step: number }
  | { kind: 'failed'; step: number; reason: string };

interface Cut {
  readonly step: number;
  readonly missing: Set<Holder>;
  readonly parts: Map<Holder, Part>;
  isLate: boolean;
  failure?: string;
}

export class SnapshotPlan {
  readonly #everySteps: number;
  readonly #steps: number;
  readonly #cuts = new Map<number, Cut>();
  #ahead = SNAPSHOT_AHEAD_STEPS;

  /**
   * @param everySteps a cut at each multiple of it; 0: only where one is asked for
   * @param steps of the whole run; nothing is cut at its end, where the results are saved. 0: not known
   */
  constructor(everySteps: number, steps: number) {
    this.#everySteps = everySteps;
    this.#steps = steps;
  }

  /** Steps at which a snapshot is ordered and not settled. */
  get open(): number[] {
    return [...this.#cuts.keys()];
  }

  /** Whom the cut at a step waits for. */
  missing(step: number): Holder[] {
    return [...(this.#cuts.get(step)?.missing ?? [])];
  }

  /**
   * Orders the next cut of the cadence, unless there is one.
   * @param now the step that is open
   * @returns its step; undefined where none is due
   */
  next(now: number, holders: readonly Holder[]): number | undefined {
    if (this.#everySteps === 0 || [...this.#cuts.keys()].some((step) => step % this.#everySteps === 0))
      return undefined;
    return this.#order(Math.ceil((now + this.#ahead) / this.#everySteps) * this.#everySteps, holders);
  }

  /** Orders a cut as soon as can be, unless one is as near. */
  ask(now: number, holders: readonly Holder[]): number | undefined {
    const step = now + this.#ahead;
    return [...this.#cuts.keys()].some((other) => other <= step) ? undefined : this.#order(step, holders);
  }

  /** What a holder says of a cut; the outcome when it was the last one missing. */
  report(step: number, holder: Holder, report: Report): Outcome | undefined {
    const cut = this.#cuts.get(step);
    if (!cut?.missing.delete(holder)) return undefined;
    if ('late' in report) cut.isLate = true;
    else if ('failure' in report) cut.failure ??= `${holder}: ${report.failure}`;
    else cut.parts.set(holder, report);
    return cut.missing.size === 0 ? this.#settle(cut) : undefined;
  }

  /** Whoever writes nothing any more, as it has left, lets what waits for it fail. */
  lost(holder: Holder, failure: string): Outcome[] {
    return [...this.#cuts.values()].flatMap(({ step, missing }) =>
      missing.has(holder) ? (this.report(step, holder, { failure }) ?? []) : [],
    );
  }

  #order(step: number, holders: readonly Holder[]): number | undefined {
    if (this.#cuts.size >= SNAPSHOTS_OPEN_MAX || this.#cuts.has(step)) return undefined;
    if (this.#steps > 0 && step >= this.#steps) return undefined;
    this.#cuts.set(step, { step, missing: new Set(holders), parts: new Map(), isLate: false });
    return step;
  }

  #settle({ step, parts, isLate, failure }: Cut): Outcome {
    this.#cuts.delete(step);
    if (failure !== undefined) return { kind: 'failed', step, reason: failure };
    if (!isLate) return { kind: 'whole', step, parts };
    this.#ahead = Math.min(2 * this.#ahead, SNAPSHOT_AHEAD_MAX_STEPS);
    return { kind: 'late', step };
  }
}
