// The readers of a run on one server: workers' subscriptions, and fetches of anybody. Blocks wait as indices, not as
// bytes, until a reader has room; what it is sent then is made in reader-messages.ts.
import type { BlockLayout } from '../shared/blocks/blocks.js';
import type { DirectCodecName } from '../shared/codec/codec.js';
import { codecs, directCodecNames } from '../shared/codec/registry.js';
import { OBSERVERS_MAX, STREAM_UNSENT_MAX, UNREAD_MAX, WORKER_READERS_MAX } from '../shared/limits.js';
import { Framed } from '../shared/rpc/frame.js';
import type { PullReply } from '../shared/rpc/generated/gradloom/v1/PullReply.js';
import { type InMemory, isInProcess } from '../shared/rpc/in-process.js';
import { Refused, refuse } from '../shared/rpc/refusal.js';
import { isClocked } from '../shared/run/spec.js';
import type { ServerMetrics } from './metrics.js';
import type { PullCall, Queued, Reader } from './reader.js';
import { ReaderMessages } from './reader-messages.js';
import type { Shard } from './shard.js';
import { type Outcome, outcomeToWire } from './step-headers.js';

export interface ReadersOptions {
  run: string;
  layout: BlockLayout;
  shard: Shard;
  /** Step from which the run goes on; 0 where it begins. */
  fromStep: number;
  metrics: ServerMetrics;
  /** Monotonic time in milliseconds. */
  now: () => number;
}

export class Readers {
  readonly #layout: BlockLayout;
  readonly #shard: Shard;
  readonly #fromStep: number;
  readonly #metrics: ServerMetrics;
  readonly #now: () => number;
  readonly #readers = new Set<Reader>();
  readonly #messages: ReaderMessages;
  /** Whether everything that the shard has done may leave. */
  isCommitted: () => boolean = () => true;

  constructor({ run, layout, shard, fromStep, metrics, now }: ReadersOptions) {
    this.#layout = layout;
    this.#shard = shard;
    this.#fromStep = fromStep;
    this.#metrics = metrics;
    this.#now = now;
    this.#messages = new ReaderMessages({
      ...{ run, shard, metrics },
      readers: this.#readers,
      refuse: (reader, error) => this.#refuse(reader, error),
    });
  }

  [Symbol.iterator](): IterableIterator<Reader> {
    return this.#readers.values();
  }

  /** @param rank the worker whose stream it is; undefined: an observer */
  attach(call: PullCall, rank?: number): Reader {
    const [who, most] =
      rank === undefined
        ? ['observers of a run', OBSERVERS_MAX]
        : [`readers of worker ${rank}`, WORKER_READERS_MAX];
    if ([...this.#readers].filter((each) => each.rank === rank).length >= most)
      throw refuse('FULL', `expected at most ${most} ${who}, got one more; close another`);
    const reader: Reader = {
      call,
      rank,
      near: isInProcess(call),
      subscribed: false,
      queue: [],
      queued: new Map(),
      unsent: 0,
      unread: 0,
      fetches: [],
    };
    this.#readers.add(reader);
    call.write({ ready: { step: this.#shard.step } });
    return reader;
  }

  detach(reader: Reader): void {
    if (!this.#readers.delete(reader)) return;
    this.#messages.left(reader);
  }

  subscribe(reader: Reader, codec: number): void {
    const { spec } = this.#shard;
    const expected = codecs[spec.codec];
    if (codec !== expected.id)
      throw refuse(
        'RUN_SPEC',
        `expected a subscription in the run's codec ${expected.name} (${expected.id}), got number ${codec}`,
      );
    if (reader.rank === undefined && (expected.lossy || isClocked(spec)))
      throw refuse(
        'UNKNOWN_WORKER',
        `expected a worker of the view, got an observer that subscribes; under ${isClocked(spec) ? spec.consistency : `codec ${expected.name}`} observers only fetch`,
      );
    if (expected.lossy && this.#shard.step > this.#fromStep)
      throw refuse(
        'NOT_NOW',
        `expected a subscription in ${expected.name}, which brings differences, before the first step, got it at step ${this.#shard.step}; fetch the parameters instead`,
      );
    reader.subscribed = true;
    reader.call.write({ ready: { step: this.#shard.step } });
  }

  /**
   * As `subscribe`, for a worker that has decided `step` steps and whose stream broke: before `ready` it gets the outcome
   * of the step that is next, where there is one, and the blocks that have its update, exactly. What is not to leave yet
   * (`later`) comes in time, as to all. Throws Refused.
   */
  resume(
    reader: Reader,
    request: {
      codec: number;
      step: number;
      outcome: Outcome | undefined;
      later: ReadonlySet<number>;
      /** Number of the view in force. */
      view: number;
    },
  ): void {
    const shard = this.#shard;
    const { step, outcome, later } = request;
    if (request.codec !== codecs[shard.spec.codec].id || reader.rank === undefined || isClocked(shard.spec))
      throw refuse(
        'RUN_SPEC',
        `expected a worker of a run with one clock, and its codec ${shard.spec.codec}, got number ${request.codec}; start again`,
      );
    if (shard.step !== step && shard.step !== step + 1)
      throw refuse(
        'STEP',
        `worker ${reader.rank}: expected it to go on at step ${shard.step} or the one before, got ${step}; join again`,
      );
    reader.subscribed = true;
    this.tell(reader, { view: { number: request.view } });
    if (outcome) this.tell(reader, { outcome: outcomeToWire(outcome) });
    const ahead = [...shard.blockIndices].filter(
      (block) => shard.isExchanged(block) && shard.decidedOn(block) > step && !later.has(block),
    );
    for (const block of outcome?.skipped ? [] : ahead) {
      if (shard.isDifferenceDue(block)) this.#messages.encodeDue(block);
      const codec = shard.codecOf(block);
      const exact = codec.lossy ? 'fp32' : (codec.name as DirectCodecName);
      reader.queue.push({ block, fetched: exact, held: codec.lossy });
      this.#messages.promise(block);
    }
    reader.queue.push({ ready: true, block: -1 });
    this.#send(reader);
  }

  /** Answers at once, or when the step is decided. Throws Refused. */
  fetch(
    reader: Reader,
    request: { step: number; codec: number; blocks: readonly number[]; held?: boolean },
  ): void {
    const codec = directCodecNames.find((name) => codecs[name].id === request.codec);
    if (!codec)
      throw refuse(
        'PAYLOAD',
        `expected a codec of ${directCodecNames.join(', ')}, got number ${request.codec}`,
      );
    if (request.held && codec !== 'fp32')
      throw refuse('PAYLOAD', `expected codec fp32 for what workers hold, got ${codec}`);
    const own = new Set(this.#shard.blockIndices);
    for (const block of request.blocks)
      if (!own.has(block))
        throw refuse(
          'UNKNOWN_BLOCK',
          `expected blocks of this server, got ${block}; read the placement from the view`,
        );
    if (reader.fetches.length > 0)
      throw refuse('NOT_NOW', 'expected one fetch at a time, got another before the first was answered');
    reader.fetches.push({
      step: request.step,
      since: this.#now(),
      codec,
      blocks: request.blocks.length > 0 ? request.blocks : [...own],
      held: request.held ?? false,
    });
    this.#answerFetches(reader);
  }

  /**
   * A block has new values, which every subscriber wants, or (with backup workers) those workers whose contributions
   * they hold: the others fetch the newest when they have seen that they were late.
   */
  updated(block: number, workers?: readonly number[]): void {
    this.#messages.changed(block);
    for (const reader of this.#readers) {
      const wanted = !workers || reader.rank === undefined || workers.includes(reader.rank);
      if (reader.subscribed && wanted && !reader.queued.has(block)) this.#queue(reader, { block });
    }
    // What is encoded for the one in this process is framed for those who wait for it elsewhere.
    for (const reader of this.#readers) if (reader.near) this.#send(reader);
    for (const reader of this.#readers) this.#send(reader);
  }

  /** ssp, asp: a worker may have a block, with which it enters clock `step`. */
  letGo(worker: number, block: number, step: number): void {
    for (const reader of this.#readers) {
      if (!reader.subscribed || reader.rank !== worker) continue;
      const queued = reader.queued.get(block);
      if (queued) queued.step = step;
      else this.#queue(reader, { block, step });
      this.#send(reader);
    }
  }

  /** The verdict on a step, for one worker or (undefined) all subscribers. */
  outcome(outcome: Outcome, worker: number | undefined): void {
    for (const reader of this.#readers)
      if (reader.subscribed && (worker === undefined || worker === reader.rank))
        this.tell(reader, {
          outcome: outcomeToWire(outcome),
        });
  }

  /** Another view is in force, with a bound of its own. */
  changed(number: number): void {
    this.#messages.ruled();
    for (const reader of [...this.#readers]) if (reader.subscribed) this.tell(reader, { view: { number } });
    if (!isClocked(this.#shard.spec)) return;
    for (const reader of [...this.#readers])
      if (reader.subscribed && reader.rank === undefined)
        this.#refuse(
          reader,
          refuse('NOT_NOW', 'the run has left bsp, where observers may subscribe; fetch instead'),
        );
  }

  /** A step has closed: fetches that waited for it are answered. */
  stepped(): void {
    for (const reader of this.#readers) this.#answerFetches(reader);
  }

  /** Ends all streams, or those of one worker, with a refusal where there is one. */
  end(refusal?: { code: number; sentence: string }, rank?: number): void {
    for (const reader of [...this.#readers]) {
      if (rank !== undefined && reader.rank !== rank) continue;
      this.detach(reader);
      if (refusal) reader.call.write({ refusal: refusal as never });
      reader.call.end();
    }
  }

  /** A block's last update was taken back: who has not been sent it is not sent it any more. */
  undone(block: number): void {
    this.#messages.changed(block);
    for (const { queue, queued } of this.#readers) {
      const late = queued.get(block);
      if (!late) continue;
      queued.delete(block);
      queue.splice(queue.indexOf(late), 1);
    }
  }

  /** Blocks that somebody has still to be sent as they stand now. */
  get promised(): number[] {
    return this.#messages.promised;
  }

  /** A block is about to change: whoever fetched it before gets it as it is now. */
  copy(block: number): void {
    this.#messages.copy(block);
  }

  #queue(reader: Reader, queued: Queued): void {
    reader.queued.set(queued.block, queued);
    reader.queue.push(queued);
  }

  /** A small message to a reader; one that leaves too many unread is refused. */
  tell(reader: Reader, message: PullReply): void {
    if (reader.unread >= UNREAD_MAX) {
      const sentence = `expected at most ${UNREAD_MAX} messages unread, got one more; read the stream`;
      this.#refuse(reader, refuse('CREDIT', sentence));
      return;
    }
    reader.unread++;
    reader.call.write(message, () => {
      reader.unread--;
    });
  }

  #refuse(reader: Reader, error: Refused): void {
    this.#metrics.refused(error.label);
    this.detach(reader);
    reader.call.write({ refusal: error.toMessage() as never });
    reader.call.end();
  }

  #answerFetches(reader: Reader): void {
    const [fetch] = reader.fetches;
    if (!fetch || !this.#shard.initialized || fetch.step > this.#shard.step || !this.isCommitted()) return;
    reader.fetches.shift();
    for (const block of fetch.blocks) {
      reader.queue.push({ block, fetched: fetch.codec, held: fetch.held });
      this.#messages.promise(block);
    }
    this.#send(reader);
  }

  #send(reader: Reader): void {
    while (reader.near || reader.unsent < STREAM_UNSENT_MAX) {
      const next = reader.queue.shift();
      if (!next) return;
      if (next.ready) {
        reader.call.write({ ready: { step: this.#shard.step } });
        continue;
      }
      let message: Framed | InMemory;
      try {
        message = this.#messages.next(reader, next);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        this.#refuse(reader, error);
        return;
      }
      reader.unsent++;
      reader.call.write(message, () => {
        reader.unsent--;
        if (message instanceof Framed) message.release();
        if (this.#readers.has(reader)) this.#send(reader);
      });
      if (reader.near) continue;
      const codec = next.fetched ? codecs[next.fetched] : this.#shard.codecOf(next.block);
      const { elements } = this.#layout.blocks[next.block];
      this.#metrics.moved('sent', codec.id, codec.payloadBytes(elements), elements);
    }
  }
}
