// The time of a simulated cluster: a queue of events, carried out one at a time in an order that the seed alone
// decides. Between two events all promises that can settle do, so the code under test runs as it is, with its awaits.
// An event belongs to a node: while that node is paused its events wait, and when it has crashed they are dropped.

interface Event {
  readonly atMs: number;
  /** Ties are broken by age, so that a seed replays exactly. */
  readonly number: number;
  readonly node: string;
  readonly run: () => void;
}

export class Scheduler {
  #nowMs = 0;
  #number = 0;
  readonly #heap: Event[] = [];
  readonly #paused = new Map<string, Event[]>();
  readonly #crashed = new Set<string>();

  /** Simulated time. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Calls `run` on a node after a delay, unless that has crashed by then. */
  after(delayMs: number, node: string, run: () => void): void {
    this.#push({ atMs: this.#nowMs + Math.max(0, delayMs), number: this.#number++, node, run });
  }

  isCrashed(node: string): boolean {
    return this.#crashed.has(node);
  }

  isPaused(node: string): boolean {
    return this.#paused.has(node);
  }

  /** Whatever the node still had to do is dropped. */
  crash(node: string): void {
    this.#crashed.add(node);
    this.#paused.delete(node);
  }

  /** As SIGSTOP: what the node would do waits. */
  pause(node: string): void {
    if (!this.#crashed.has(node) && !this.#paused.has(node)) this.#paused.set(node, []);
  }

  /** As SIGCONT: everything that waited happens at once, in its order. */
  wake(node: string): void {
    const waiting = this.#paused.get(node) ?? [];
    this.#paused.delete(node);
    for (const event of waiting) this.#push({ ...event, atMs: this.#nowMs });
  }

  /** Runs until `done`, until nothing is left to do, or until the simulated time is over. */
  async run(done: () => boolean, untilMs: number): Promise<void> {
    await settle();
    while (!done()) {
      const event = this.#pop();
      if (!event) return;
      if (event.atMs > untilMs) {
        this.#nowMs = untilMs;
        this.#push(event);
        return;
      }
      this.#nowMs = event.atMs;
      if (this.#crashed.has(event.node)) continue;
      const waiting = this.#paused.get(event.node);
      if (waiting) {
        waiting.push(event);
        continue;
      }
      event.run();
      await settle();
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (a: Event, b: Event) => a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number);

/** Lets every promise and every callback of this turn that can settle do so. */
async function settle(): Promise<void> {
  // What was put off to the end of the turn may put off something itself (a stream's flush, a reply to it).
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}
