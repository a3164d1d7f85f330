// Who waits for whom, and since when, where each worker has a clock of its own (ssp, asp): a worker that has done its
// step and is withheld blocks waits for those who are behind; one that fetches at a step, for those who have not done
// it. The shard knows whom; this adds the time, which the shard does not have.
import type { Effect, Shard } from './shard.js';

export interface Wait {
  /** Ranks that are waited for. */
  readonly workers: number[];
  readonly waitedMs: number;
}

export class ClockedWaits {
  /** Since when workers are withheld blocks. */
  readonly #since = new Map<number, number>();

  /** @param now monotonic time in milliseconds */
  constructor(
    readonly shard: Pick<Shard, 'behind' | 'waitingFor' | 'withheldOf'>,
    readonly now: () => number,
  ) {}

  /** Notes what a message of `rank` has led to; returns how long (ms) others had waited for it, where they no longer do. */
  note(rank: number, effects: readonly Effect[]): number {
    const now = this.now();
    let waitedMs = 0;
    for (const effect of effects) {
      if (effect.kind !== 'answer' || this.shard.withheldOf(effect.worker) > 0) continue;
      if (effect.worker !== rank)
        waitedMs = Math.max(waitedMs, now - (this.#since.get(effect.worker) ?? now));
      this.#since.delete(effect.worker);
    }
    if (this.shard.withheldOf(rank) > 0 && !this.#since.has(rank)) this.#since.set(rank, now);
    return waitedMs;
  }

  /** Whom a reader waits for: with its fetch, or for the blocks with which it enters its next step. */
  of(
    rank: number | undefined,
    fetch: { readonly step: number; readonly since: number } | undefined,
  ): Wait | undefined {
    const since = this.#sinceOf(rank, fetch);
    if (since === undefined) return undefined;
    const workers = fetch ? this.shard.behind(fetch.step) : this.shard.waitingFor();
    return workers.length > 0 ? { workers, waitedMs: this.now() - since } : undefined;
  }

  /** How long (ms) a reader has waited, if for anybody. */
  waitedMs(rank: number | undefined, fetch: { readonly since: number } | undefined): number {
    const now = this.now();
    return now - (this.#sinceOf(rank, fetch) ?? now);
  }

  #sinceOf(rank: number | undefined, fetch: { readonly since: number } | undefined): number | undefined {
    return fetch?.since ?? (rank === undefined ? undefined : this.#since.get(rank));
  }
}
