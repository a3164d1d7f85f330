// How long waits of one kind usually last, and so when one is told of: what was measured decides, not a constant. A wait
// stands out where it lasts longer than the median of the last ones and three scaled median absolute deviations
// (outliers.ts), and is worth a word where it lasts twice the median: steps that take all the same time have next to no
// deviation. Whoever is waited for is named after that, and nothing else is done to it. Pure: durations are handed in.
import { NOTICE_MIN_MS, USUAL_WAITS, WAITING_NOTICE_MS } from './limits.js';
import { median, toleranceOf } from './outliers.js';

/** How many times the median a wait lasts at least before it is told of. */
export const NOTICE_RATIO = 2;

export class Usual {
  /** The last waits in ms, in no order: the oldest is overwritten. */
  readonly #last: number[] = [];
  #next = 0;
  #known: { medianMs: number; unusualMs: number } | undefined;

  /** A wait has ended that lasted so long. */
  observe(ms: number): void {
    this.#last[this.#next] = ms;
    this.#next = (this.#next + 1) % USUAL_WAITS;
    this.#known = undefined;
  }

  /** Median of the last waits; undefined before the first has ended. */
  get medianMs(): number | undefined {
    return this.#measured?.medianMs;
  }

  /** A wait that lasts as long as this is not usual, */
  get unusualMs(): number {
    return this.#measured?.unusualMs ?? WAITING_NOTICE_MS;
  }

  /** and as long as this is told of. */
  get deadlineMs(): number {
    return Math.max(NOTICE_MIN_MS, this.unusualMs);
  }

  /** Computed when it is asked for, not at every wait. */
  get #measured() {
    if (this.#last.length === 0) return undefined;
    if (!this.#known) {
      const medianMs = median(this.#last);
      const outlierMs = medianMs + toleranceOf(this.#last, medianMs);
      this.#known = { medianMs, unusualMs: Math.max(NOTICE_RATIO * medianMs, outlierMs) };
    }
    return this.#known;
  }
}

/** When a wait is told of: once it has lasted as long as its deadline, and then every WAITING_NOTICE_MS while it lasts. */
export class Notice {
  /** How long the wait had lasted when it was last told of. */
  #toldMs: number | undefined;

  /** Whether it is time to tell. Asked while it lasts, and at least once between two waits. */
  isDue(waitedMs: number, deadlineMs: number): boolean {
    const isLate = waitedMs >= deadlineMs;
    // A wait that has lasted less than the one before is another.
    if (!isLate || waitedMs < (this.#toldMs ?? 0)) this.#toldMs = undefined;
    if (!isLate || (this.#toldMs !== undefined && waitedMs < this.#toldMs + WAITING_NOTICE_MS)) return false;
    this.#toldMs = waitedMs;
    return true;
  }
}

/** A duration in a sentence. */
export const shownMs = (ms: number): string =>
  ms < 10_000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;

/** For a sentence: what is usual. @param what of which one is timed, e.g. `a step` */
export function usually(what: string, { medianMs }: { readonly medianMs: number | undefined }): string {
  return medianMs === undefined
    ? `how long ${what} usually takes is not known yet`
    : `${what} usually takes ${shownMs(medianMs)}`;
}
