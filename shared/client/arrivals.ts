// When the last block of each shard comes, step after step, seen by one client: what tells a slow server from its peers.
// Pure: the clock is handed in.

interface Exchanged {
  readonly sinceMs: number;
  /** By shard. */
  readonly lastMs: Map<number, number>;
}

export class Arrivals {
  /** Of the steps that are done, newest last: seconds by shard. */
  readonly #done: Map<number, number>[] = [];
  #underWay: Exchanged | undefined;

  /** @param steps so many are remembered */
  constructor(readonly steps: number) {}

  /** An exchange begins. */
  begin(nowMs: number): void {
    this.#underWay = { sinceMs: nowMs, lastMs: new Map() };
  }

  arrived(shard: number, nowMs: number): void {
    this.#underWay?.lastMs.set(shard, nowMs);
  }

  /** It has ended; a step that is skipped brings no blocks and tells nothing. */
  end(): void {
    const { sinceMs, lastMs } = this.#underWay ?? { sinceMs: 0, lastMs: new Map<number, number>() };
    this.#underWay = undefined;
    if (lastMs.size === 0) return;
    this.#done.push(new Map([...lastMs].map(([shard, atMs]) => [shard, (atMs - sinceMs) / 1000])));
    if (this.#done.length > this.steps) this.#done.shift();
  }

  /**
   * Mean seconds by shard; where blocks are missing for longer than that, how long by now.
   * @param missing whether blocks of a shard are missing
   */
  seconds(nowMs: number, missing: (shard: number) => boolean): Map<number, number> {
    const sums = new Map<number, { sum: number; count: number }>();
    for (const step of this.#done)
      for (const [shard, seconds] of step) {
        const { sum, count } = sums.get(shard) ?? { sum: 0, count: 0 };
        sums.set(shard, { sum: sum + seconds, count: count + 1 });
      }
    const waitedSeconds = this.#underWay ? (nowMs - this.#underWay.sinceMs) / 1000 : 0;
    return new Map(
      [...sums].map(([shard, { sum, count }]) => [
        shard,
        missing(shard) ? Math.max(sum / count, waitedSeconds) : sum / count,
      ]),
    );
  }
}
