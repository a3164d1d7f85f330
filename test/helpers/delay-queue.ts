// One direction of a link: what enters comes out in order, a fixed delay after it has passed a bottleneck of some
// rate. Pure: the clock is handed in. Whoever fills it stops when it is full, which bounds it like a router's queue.

export interface LinkOptions {
  /** Time on the way. */
  delayMs: number;
  /** Of the bottleneck; Infinity for none. */
  bytesPerSecond: number;
}

/** On the way at one time, at most: 10 Gbit/s for 50 ms. */
const ON_THE_WAY_MAX_BYTES = 64 * 1024 ** 2;
/** What the bottleneck may have queued before the sender is stopped, in time at its rate. */
const BOTTLENECK_MS = 20;

export class DelayQueue<T extends { length: number }> {
  readonly #items: { item: T; dueMs: number }[] = [];
  #bytes = 0;
  #freeAtMs = 0;

  /**
   * @param link read at every entry, so that its figures may change on the way
   * @param bufferBytes of a link without delay and bottleneck
   */
  constructor(
    readonly link: Readonly<LinkOptions>,
    readonly bufferBytes: number,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether no more is to be put in. A slow bottleneck is full of little, so a change of its rate soon shows. */
  get full(): boolean {
    const { delayMs, bytesPerSecond } = this.link;
    if (bytesPerSecond === Infinity)
      return this.#bytes >= (delayMs > 0 ? ON_THE_WAY_MAX_BYTES : this.bufferBytes);
    return this.#bytes >= Math.min(ON_THE_WAY_MAX_BYTES, (bytesPerSecond * (delayMs + BOTTLENECK_MS)) / 1000);
  }

  put(item: T, nowMs: number): void {
    const { delayMs, bytesPerSecond } = this.link;
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + (1000 * item.length) / bytesPerSecond;
    // A delay that became shorter lets nothing overtake.
    const dueMs = Math.max(this.#items.at(-1)?.dueMs ?? 0, this.#freeAtMs + delayMs);
    this.#items.push({ item, dueMs });
    this.#bytes += item.length;
  }

  /** When the next comes out; undefined where nothing is on the way. */
  get nextDueMs(): number | undefined {
    return this.#items[0]?.dueMs;
  }

  /** The next that has arrived by now. */
  take(nowMs: number): T | undefined {
    if (this.#items.length === 0 || this.#items[0].dueMs > nowMs) return undefined;
    const { item } = this.#items.shift() as { item: T };
    this.#bytes -= item.length;
    return item;
  }
}
