// The streams of a run's workers on one server: what is acknowledged and released travels back to each, that of a turn
// of the event loop together.
import { PUSH_CREDIT_BYTES, UNREAD_MAX } from '../shared/limits.js';
import type { PushCall } from './hosted-run.js';

interface Writer {
  readonly call: PushCall;
  readonly acks: Map<number, number[]>;
  releasedBytes: number;
  /** Acknowledgements that the stream has not flushed. */
  unread: number;
}

export class Writers {
  readonly #writers = new Map<number, Writer>();
  readonly #dirty = new Set<Writer>();
  #flushing = false;

  /** A worker's stream of contributions; one that it had before is replaced. */
  attach(rank: number, call: PushCall): void {
    const previous = this.#writers.get(rank);
    if (previous) {
      this.detach(rank, previous.call);
      previous.call.end();
    }
    this.#writers.set(rank, { call, acks: new Map(), releasedBytes: 0, unread: 0 });
    call.write({ ready: { creditBytes: PUSH_CREDIT_BYTES } });
  }

  detach(rank: number, call: PushCall): void {
    const writer = this.#writers.get(rank);
    if (writer?.call !== call) return;
    this.#writers.delete(rank);
    this.#dirty.delete(writer);
  }

  acknowledge(worker: number, step: number, block: number): void {
    const writer = this.#writers.get(worker);
    if (!writer) return;
    const blocks = writer.acks.get(step);
    if (blocks) blocks.push(block);
    else writer.acks.set(step, [block]);
    this.#flushSoon(writer);
  }

  release(worker: number, bytes: number): void {
    const writer = this.#writers.get(worker);
    if (!writer) return;
    writer.releasedBytes += bytes;
    this.#flushSoon(writer);
  }

  /** Ends all streams, or those of one worker, with a refusal where there is one. */
  end(refusal?: { code: number; sentence: string }, rank?: number): void {
    for (const [each, { call }] of [...this.#writers]) {
      if (rank !== undefined && each !== rank) continue;
      if (refusal) call.write({ refusal: refusal as never });
      this.detach(each, call);
      call.end();
    }
  }

  #flushSoon(writer: Writer): void {
    this.#dirty.add(writer);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      for (const dirty of this.#dirty) {
        if (dirty.unread >= UNREAD_MAX) {
          // It reads nothing of what it is told; what it has sent is applied all the same.
          this.#writers.forEach((writer, rank) => {
            if (writer === dirty) this.detach(rank, dirty.call);
          });
          dirty.call.end();
          continue;
        }
        const [first, ...rest] = dirty.acks.size > 0 ? dirty.acks : [[0, []] as [number, number[]]];
        const messages = [
          { step: first[0], blocks: first[1], releasedBytes: dirty.releasedBytes },
          ...rest.map(([step, blocks]) => ({ step, blocks, releasedBytes: 0 })),
        ];
        for (const ack of messages) {
          dirty.unread++;
          dirty.call.write({ ack }, () => {
            dirty.unread--;
          });
        }
        dirty.acks.clear();
        dirty.releasedBytes = 0;
      }
      this.#dirty.clear();
    });
  }
}
