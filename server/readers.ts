// The readers of a run on one server: workers' subscriptions, and fetches of anybody. Blocks wait as indices, not as
// bytes, and are encoded when the reader has room, once for all subscribers of a version; what was fetched is copied
// before it changes, so that it is one version, and readers never stop training.
import type { BlockLayout } from '../shared/blocks/blocks.js';
import type { DirectCodecName } from '../shared/codec/codec.js';
import { codecs, directCodecNames } from '../shared/codec/registry.js';
import { OBSERVERS_MAX, STREAM_UNSENT_MAX, UNREAD_MAX, WORKER_READERS_MAX } from '../shared/limits.js';
import { frameBulk } from '../shared/rpc/bulk.js';
import { Framed, FramePool } from '../shared/rpc/frame.js';
import type { PullReply } from '../shared/rpc/generated/gradloom/v1/PullReply.js';
import { InMemory, isInProcess } from '../shared/rpc/in-process.js';
import { FIELD } from '../shared/rpc/proto.js';
import { Refused, refuse } from '../shared/rpc/refusal.js';
import { isClocked } from '../shared/run/spec.js';
import type { PullCall } from './hosted-run.js';
import type { ServerMetrics } from './metrics.js';
import type { Encoded, Shard } from './shard.js';
import { type Outcome, outcomeToWire } from './step-headers.js';

interface Queued {
  readonly block: number;
  /** The codec that a fetch asked for; undefined: of the subscription. */
  readonly fetched?: DirectCodecName;
  /** What the workers hold was asked for, instead of the values. */
  readonly held?: boolean;
  /** What was fetched, or with backup workers subscribed to, encoded before the block changed. */
  kept?: Framed;
  /** ssp, asp: the clock that the worker enters with it. */
  step?: number;
  /** No block: a worker that goes on after its stream broke has all that it missed. */
  readonly ready?: boolean;
}

/** Which block a message holds, and whether it was fetched. */
interface Which {
  readonly block: number;
  readonly fetched: boolean;
}

/** A reader of blocks: a worker's subscription, or somebody's single fetch. */
export interface Reader {
  readonly call: PullCall;
  /** Rank of the worker whose stream it is; undefined: an observer. */
  readonly rank: number | undefined;
  /** It is in this process: it takes what is encoded at once, out of the shard's memory, and is never behind. */
  readonly near: boolean;
  subscribed: boolean;
  /** Blocks to send, in order; a block waits here at most once. */
  readonly queue: Queued[];
  /** Blocks of the subscription that stand in the queue; what is late is sent as it is then. */
  readonly queued: Map<number, Queued>;
  /** Messages handed to the stream that it has not flushed. */
  unsent: number;
  /** Small messages that the stream has not flushed. */
  unread: number;
  /** Fetches that wait for a step. */
  readonly fetches: {
    step: number;
    since: number;
    codec: DirectCodecName;
    blocks: readonly number[];
    held: boolean;
  }[];
}

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
  readonly #run: string;
  readonly #layout: BlockLayout;
  readonly #shard: Shard;
  readonly #fromStep: number;
  readonly #metrics: ServerMetrics;
  readonly #now: () => number;
  readonly #readers = new Set<Reader>();
  /** Encoded subscription messages, current ones only, that some subscriber has not been given yet. */
  readonly #encoded = new Map<number, Framed>();
  readonly #frames = new FramePool();
  /** How many answers to fetches have still to be sent of a block, as it stood when they were asked. */
  readonly #promised = new Map<number, number>();
  /** Whether everything that the shard has done may leave. */
  isCommitted: () => boolean = () => true;
  /** ssp, asp: the most that a block lacked of any worker's updates when it was read. */
  #stalest = 0;

  constructor({ run, layout, shard, fromStep, metrics, now }: ReadersOptions) {
    this.#run = run;
    this.#layout = layout;
    this.#shard = shard;
    this.#fromStep = fromStep;
    this.#metrics = metrics;
    this.#now = now;
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
    for (const { fetched, block } of reader.queue) if (fetched) this.#keepPromise(block);
    for (const block of reader.queued.keys()) this.#forgetUnawaited(block);
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
      if (shard.isDifferenceDue(block)) this.#encodeDue(block);
      const codec = shard.codecOf(block);
      const exact = codec.lossy ? 'fp32' : (codec.name as DirectCodecName);
      reader.queue.push({ block, fetched: exact, held: codec.lossy });
      this.#promised.set(block, (this.#promised.get(block) ?? 0) + 1);
    }
    reader.queue.push({ ready: true, block: -1 });
    this.#send(reader);
  }

  /** The difference that a block's last update makes is encoded now; those who wait for it get that. */
  #encodeDue(block: number): void {
    const others = [...this.#readers].filter(({ queued }) => queued.has(block)).length;
    const frame = this.#frame({ block, fetched: false }, this.#shard.encodeUpdate(block));
    if (others === 0) return frame.release();
    frame.share(others - 1);
    this.#encoded.set(block, frame);
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
    this.#encoded.delete(block);
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
    this.#stalest = 0;
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
    this.#encoded.delete(block);
    for (const { queue, queued } of this.#readers) {
      const late = queued.get(block);
      if (!late) continue;
      queued.delete(block);
      queue.splice(queue.indexOf(late), 1);
    }
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
      this.#promised.set(block, (this.#promised.get(block) ?? 0) + 1);
    }
    this.#send(reader);
  }

  /** Blocks that somebody has still to be sent as they stand now. */
  get promised(): number[] {
    if (!this.#keepsSteps) return [...this.#promised.keys()];
    const subscribed = [...this.#readers].flatMap(({ queued }) => [...queued.keys()]);
    return [...new Set([...this.#promised.keys(), ...subscribed])];
  }

  /** With backup workers steps go on while some worker still reads the blocks of one that took its contributions. */
  get #keepsSteps(): boolean {
    return (this.#shard.spec.backupWorkers ?? 0) > 0;
  }

  /** Encodes a block of the subscription for the workers to whom it has not been sent: they get this very step's. */
  #keepStep(block: number): void {
    const behind = [...this.#readers].filter(({ rank, queued }) => rank !== undefined && queued.has(block));
    if (behind.length === 0) return;
    let kept = this.#encoded.get(block);
    try {
      if (!kept) {
        kept = this.#frame({ block, fetched: false }, this.#shard.encodeUpdate(block));
        kept.share(behind.length - 1);
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      for (const reader of behind) this.#refuse(reader, error);
      return;
    }
    for (const { queued } of behind) {
      (queued.get(block) as Queued).kept = kept;
      queued.delete(block);
    }
    this.#forgetUnawaited(block);
  }

  /** A block is about to change: whoever fetched it before gets it as it is now, so that readers never stop training. */
  copy(block: number): void {
    if (this.#keepsSteps) this.#keepStep(block);
    if (!this.#promised.has(block)) return;
    for (const reader of this.#readers)
      for (const queued of reader.queue) {
        if (!queued.fetched || queued.block !== block) continue;
        try {
          queued.kept ??= this.#frame({ block, fetched: true }, this.#asked(queued, queued.fetched));
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          this.#refuse(reader, error);
        }
      }
  }

  #keepPromise(block: number): void {
    const left = (this.#promised.get(block) ?? 1) - 1;
    if (left > 0) this.#promised.set(block, left);
    else this.#promised.delete(block);
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
        if (next.fetched) this.#keepPromise(next.block);
        message = next.fetched
          ? (next.kept ?? this.#fetched(reader, next, next.fetched))
          : next.step === undefined
            ? (next.kept ?? this.#shared(reader, next.block))
            : this.#answer(reader, next, next.step);
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

  /** The subscription's message for a block: encoded for the first subscriber, kept until the last has it. */
  #shared(reader: Reader, block: number): Framed | InMemory {
    reader.queued.delete(block);
    const kept = this.#encoded.get(block);
    if (kept) {
      this.#forgetUnawaited(block);
      return kept;
    }
    const which = { block, fetched: false };
    const others = [...this.#readers].filter(({ queued }) => queued.has(block)).length;
    const encoded = this.#shard.encodeUpdate(block, !reader.near || others > 0);
    if (others === 0) return this.#message(reader, which, encoded);
    const message = this.#frame(which, encoded);
    // Each of those who wait for it releases it once; one who leaves before does not, and its buffer is not reused.
    message.share(reader.near ? others - 1 : others);
    this.#encoded.set(block, message);
    return reader.near ? this.#message(reader, which, encoded) : message;
  }

  /** ssp, asp: a block as it stands now, for the worker that enters clock `step` with it. */
  #answer(reader: Reader, { block }: Queued, step: number): Framed | InMemory {
    reader.queued.delete(block);
    const encoded = this.#shard.encodeUpdate(block, !reader.near);
    const staleness = Math.max(0, step - encoded.clockMin);
    this.#stalest = Math.max(this.#stalest, staleness);
    this.#metrics.read(this.#run, reader.rank ?? 0, staleness, this.#stalest);
    return this.#message(reader, { block, fetched: false }, { ...encoded, step });
  }

  #forgetUnawaited(block: number): void {
    for (const { queued } of this.#readers) if (queued.has(block)) return;
    this.#encoded.delete(block);
  }

  /** @param leaves as of `Shard.encode` */
  #asked({ block, held }: Queued, codec: DirectCodecName, leaves = true): Encoded {
    return held ? this.#shard.encodeHeld(block, leaves) : this.#shard.encode(block, codec, leaves);
  }

  #fetched(reader: Reader, queued: Queued, codec: DirectCodecName): Framed | InMemory {
    const which = { block: queued.block, fetched: true };
    return this.#message(reader, which, this.#asked(queued, codec, !reader.near));
  }

  /** What was encoded, for one reader; in this process it is read at once. */
  #message(reader: Reader, which: Which, encoded: Encoded): Framed | InMemory {
    if (!reader.near) return this.#frame(which, encoded);
    const { payload, ...fields } = encoded;
    return new InMemory('block', { ...which, ...fields }, payload);
  }

  #frame(which: Which, { payload, ...fields }: Encoded): Framed {
    return frameBulk(FIELD.block, { ...which, ...fields }, payload, this.#frames);
  }
}
