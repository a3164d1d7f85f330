// One run on one server: its shard, and the streams that feed it and read from it. Turns the shard's effects
// into messages. Acknowledgements of a turn of the event loop travel together; blocks wait as indices, not as
// bytes, and are encoded once however many subscribers there are, when the first of them has room.
import type * as grpc from '@grpc/grpc-js';
import type { BlockLayout } from '../shared/blocks/blocks.js';
import type { DirectCodecName } from '../shared/codec/codec.js';
import { codecs, directCodecNames } from '../shared/codec/registry.js';
import { OBSERVERS_MAX, PUSH_CREDIT_BYTES, STREAM_UNSENT_MAX, UNREAD_MAX } from '../shared/limits.js';
import { normRounds } from '../shared/optimizer/norms.js';
import { frameBulk } from '../shared/rpc/bulk.js';
import { type Framed, FramePool } from '../shared/rpc/frame.js';
import type { PullMessage__Output } from '../shared/rpc/generated/gradloom/v1/PullMessage.js';
import type { PullReply } from '../shared/rpc/generated/gradloom/v1/PullReply.js';
import type { PushMessage__Output } from '../shared/rpc/generated/gradloom/v1/PushMessage.js';
import type { PushReply } from '../shared/rpc/generated/gradloom/v1/PushReply.js';
import type { View__Output } from '../shared/rpc/generated/gradloom/v1/View.js';
import { FIELD } from '../shared/rpc/proto.js';
import { Refused, refuse } from '../shared/rpc/refusal.js';
import { isClocked, type RunSpec } from '../shared/run-spec.js';
import { ClockedWaits } from './clocked-waits.js';
import type { BlockNorms } from './effects.js';
import type { ServerMetrics } from './metrics.js';
import { type Effect, Shard } from './shard.js';

export type PushCall = grpc.ServerDuplexStream<PushMessage__Output, PushReply>;
export type PullCall = grpc.ServerDuplexStream<PullMessage__Output, PullReply | Framed>;

interface Queued {
  readonly block: number;
  /** The codec that a fetch asked for; undefined: of the subscription. */
  readonly fetched?: DirectCodecName;
  /** What was fetched, encoded before the block changed. */
  kept?: Framed;
  /** ssp, asp: the clock that the worker enters with it. */
  step?: number;
}

/** A reader of blocks: a worker's subscription, or somebody's single fetch. */
interface Reader {
  readonly call: PullCall;
  /** Rank of the worker whose stream it is; undefined: an observer. */
  readonly rank: number | undefined;
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
  readonly fetches: { step: number; since: number; codec: DirectCodecName; blocks: readonly number[] }[];
}

interface Writer {
  readonly call: PushCall;
  readonly acks: Map<number, number[]>;
  releasedBytes: number;
  /** Acknowledgements that the stream has not flushed. */
  unread: number;
}

/** How a run tells its norms to the other servers (norm-streams.ts). */
export interface NormsOut {
  send(norms: BlockNorms): void;
  /** Why a server is out of reach; undefined as far as it is known to be there. */
  lost(server: number): string | undefined;
  close(): void;
}

export class HostedRun {
  readonly shard: Shard;
  readonly #writers = new Map<number, Writer>();
  readonly #readers = new Set<Reader>();
  /** Encoded subscription messages, current ones only, that some subscriber has not been given yet. */
  readonly #encoded = new Map<number, Framed>();
  readonly #frames = new FramePool();
  readonly #dirty = new Set<Writer>();
  /** How many answers to fetches have still to be sent of a block, as it stood when they were asked. */
  readonly #promised = new Map<number, number>();
  #waitingSince: number;
  /** ssp, asp: who waits for whom; under bsp all wait for the same. */
  readonly #waits: ClockedWaits | undefined;
  /** ssp, asp: the most that a block lacked of any worker's updates when it was read. */
  #stalest = 0;
  #lastHeaderAt = 0;
  #flushing = false;
  /** There where the optimizer waits for norms that other servers have. */
  #normsOut: NormsOut | undefined;
  /** Whether blocks are applied together, once the norms of all are known. */
  readonly #gathers: boolean;

  constructor(
    readonly id: string,
    readonly spec: RunSpec,
    readonly view: View__Output,
    readonly layout: BlockLayout,
    owned: readonly number[],
    readonly metrics: ServerMetrics,
    /** Monotonic time in milliseconds. */
    readonly now: () => number,
  ) {
    this.#gathers = normRounds(spec.optimizer).length > 0;
    this.shard = new Shard(spec, layout, owned, metrics.probe);
    if (isClocked(spec)) this.#waits = new ClockedWaits(this.shard, now);
    this.#waitingSince = now();
  }

  /** A worker's stream of contributions; one that it had before is replaced. */
  attachWriter(rank: number, call: PushCall): void {
    const previous = this.#writers.get(rank);
    if (previous) {
      this.detachWriter(rank, previous.call);
      previous.call.end();
    }
    this.#writers.set(rank, { call, acks: new Map(), releasedBytes: 0, unread: 0 });
    call.write({ ready: { creditBytes: PUSH_CREDIT_BYTES } });
  }

  detachWriter(rank: number, call: PushCall): void {
    const writer = this.#writers.get(rank);
    if (writer?.call !== call) return;
    this.#writers.delete(rank);
    this.#dirty.delete(writer);
  }

  /** @param rank the worker whose stream it is; undefined: an observer */
  attachReader(call: PullCall, rank?: number): Reader {
    const observers = rank === undefined ? [...this.#readers].filter((each) => each.rank === undefined) : [];
    if (observers.length >= OBSERVERS_MAX)
      throw refuse(
        'FULL',
        `expected at most ${OBSERVERS_MAX} observers of a run, got one more; close another`,
      );
    const reader: Reader = {
      call,
      rank,
      subscribed: false,
      queue: [],
      queued: new Map(),
      unsent: 0,
      unread: 0,
      fetches: [],
    };
    this.#readers.add(reader);
    call.write({ ready: { step: this.shard.step } });
    return reader;
  }

  detachReader(reader: Reader): void {
    if (!this.#readers.delete(reader)) return;
    for (const { fetched, block } of reader.queue) if (fetched) this.#keepPromise(block);
    for (const block of reader.queued.keys()) this.#forgetUnawaited(block);
  }

  subscribe(reader: Reader, codec: number): void {
    const expected = codecs[this.spec.codec];
    if (codec !== expected.id)
      throw refuse(
        'RUN_SPEC',
        `expected a subscription in the run's codec ${expected.name} (${expected.id}), got number ${codec}`,
      );
    if (reader.rank === undefined && (expected.lossy || isClocked(this.spec)))
      throw refuse(
        'UNKNOWN_WORKER',
        `expected a worker of the view, got an observer that subscribes; under ${isClocked(this.spec) ? this.spec.consistency : `codec ${expected.name}`} observers only fetch`,
      );
    if (expected.lossy && this.shard.step > 0)
      throw refuse(
        'NOT_NOW',
        `expected a subscription in ${expected.name}, which brings differences, before the first step, got it at step ${this.shard.step}; fetch the parameters instead`,
      );
    reader.subscribed = true;
    reader.call.write({ ready: { step: this.shard.step } });
  }

  /** Answers at once, or when the step is decided. Throws Refused. */
  fetch(reader: Reader, request: { step: number; codec: number; blocks: readonly number[] }): void {
    const codec = directCodecNames.find((name) => codecs[name].id === request.codec);
    if (!codec)
      throw refuse(
        'PAYLOAD',
        `expected a codec of ${directCodecNames.join(', ')}, got number ${request.codec}`,
      );
    const own = new Set(this.shard.blockIndices);
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
      since: this.now(),
      codec,
      blocks: request.blocks.length > 0 ? request.blocks : [...own],
    });
    this.#answerFetches(reader);
  }

  push(rank: number, message: PushMessage__Output): void {
    const { contribution, initial, header } = message as unknown as {
      contribution?: Parameters<Shard['contribution']>[1];
      initial?: Parameters<Shard['initial']>[1];
      header?: PushMessage__Output['header'];
    };
    let effects: Effect[];
    if (contribution) {
      this.#received(contribution);
      // Where the optimizer waits for norms, the last contribution of a step changes all blocks.
      const changing = this.#gathers ? [...this.#promised.keys()] : [contribution.block];
      for (const block of changing) if (this.#promised.has(block)) this.#copyForReaders(block);
      effects = this.shard.contribution(rank, contribution);
      this.metrics.contribution(effects[0]?.kind === 'duplicate' ? 'duplicate' : 'accepted');
    } else if (header) {
      const waited = this.now() - this.#lastHeaderAt;
      const first = this.shard.missingHeaders === this.spec.workers;
      this.#lastHeaderAt = this.now();
      effects = this.shard.header(rank, header.step, header);
      if (!first && effects.some((effect) => effect.kind === 'outcome' && effect.worker === undefined))
        this.metrics.waitedFor(rank, waited / 1000);
    } else if (initial) {
      this.#received(initial);
      effects = this.shard.initial(rank, initial);
    } else {
      throw refuse('MALFORMED', 'expected a header, a contribution or initial values, got an empty message');
    }
    this.metrics.held(this.shard.heldBytes);
    for (const effect of effects) this.#carryOut(effect);
    const waitedMs = this.#waits?.note(rank, effects) ?? 0;
    if (waitedMs > 0) this.metrics.waitedFor(rank, waitedMs / 1000);
  }

  /** How to reach the other servers, where the optimizer waits for their norms. */
  exchangeNorms(out: NormsOut): void {
    this.#normsOut = out;
  }

  /** Norms of another server's blocks, itself named by its index in the view. Throws Refused. */
  norms(server: number, norms: BlockNorms): void {
    const foreign = norms.blocks.find((block) => this.view.placement[block] !== server);
    if (foreign !== undefined)
      throw refuse(
        'UNKNOWN_BLOCK',
        `expected norms of blocks that server ${server} of the view owns, got block ${foreign}; read the placement from the view`,
      );
    for (const block of [...this.#promised.keys()]) this.#copyForReaders(block);
    for (const effect of this.shard.norms(norms)) this.#carryOut(effect);
    this.serverLost();
  }

  /** Servers whose norms the open step waits for, as indices into the view's. */
  serversWaitedFor(): number[] {
    const owners = this.shard.missingNorms().map((block) => this.view.placement[block]);
    return [...new Set(owners)].sort((a, b) => a - b);
  }

  /** Ends the streams of all workers with a sentence where a server that is waited for is out of reach. */
  serverLost(): void {
    for (const index of this.serversWaitedFor()) {
      const reason = this.#normsOut?.lost(index);
      if (reason === undefined) continue;
      const { id, address } = this.view.servers[index];
      const error = refuse(
        'NOT_NOW',
        `it waits for the norms of server ${id} (${address}) of step ${this.shard.step}, which is out of reach: ${reason}`,
      );
      this.metrics.refused(error.label);
      for (const { call } of this.#writers.values()) {
        call.write({ refusal: error.toMessage() as never });
        call.end();
      }
      for (const { call } of this.#readers) {
        call.write({ refusal: error.toMessage() as never });
        call.end();
      }
      this.#writers.clear();
      this.#dirty.clear();
      for (const reader of [...this.#readers]) this.detachReader(reader);
      return;
    }
  }

  #received({ block, codec, payload }: Parameters<Shard['contribution']>[1]): void {
    this.metrics.moved('received', codec, payload.byteLength, this.layout.blocks[block]?.elements ?? 0);
  }

  /** Ranks that are waited for, at the oldest open step, and for how long (ms); nobody waits where there are none. */
  waiting(): { step: number; workers: number[]; waitedMs: number } {
    const { step } = this.shard;
    const waiting = this.#waits;
    if (!waiting)
      return { step, workers: this.shard.waitingFor(), waitedMs: this.now() - this.#waitingSince };
    const waits = [...this.#readers].flatMap(({ rank, fetches }) => waiting.of(rank, fetches[0]) ?? []);
    const workers = [...new Set(waits.flatMap((wait) => wait.workers))].sort((a, b) => a - b);
    return { step, workers, waitedMs: Math.max(0, ...waits.map(({ waitedMs }) => waitedMs)) };
  }

  /** Tells every subscriber who waits for whom. */
  announceWaiting(): void {
    const all = this.waiting();
    for (const reader of this.#readers) {
      if (!reader.subscribed || reader.unread > 0) continue;
      const wait = this.#waits ? this.#waits.of(reader.rank, reader.fetches[0]) : all;
      if (!wait) continue;
      const { workers, waitedMs } = wait;
      const servers = this.serversWaitedFor();
      this.#tell(reader, { waiting: { step: all.step, workers, seconds: waitedMs / 1000, servers } });
    }
  }

  /** Ends all streams; the shard's memory goes with this object. */
  close(): void {
    this.#normsOut?.close();
    for (const { call } of this.#writers.values()) call.end();
    for (const { call } of this.#readers) call.end();
    this.#writers.clear();
    this.#readers.clear();
    this.#dirty.clear();
    this.#encoded.clear();
    this.#promised.clear();
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case 'ack': {
        const writer = this.#writers.get(effect.worker);
        if (!writer) return;
        const blocks = writer.acks.get(effect.step);
        if (blocks) blocks.push(effect.block);
        else writer.acks.set(effect.step, [effect.block]);
        this.#flushSoon(writer);
        return;
      }
      case 'release': {
        const writer = this.#writers.get(effect.worker);
        if (!writer) return;
        writer.releasedBytes += effect.bytes;
        this.#flushSoon(writer);
        return;
      }
      case 'updated':
        this.metrics.blockApplied();
        this.#encoded.delete(effect.block);
        for (const reader of this.#readers) {
          if (!reader.subscribed || reader.queued.has(effect.block)) continue;
          this.#queue(reader, { block: effect.block });
        }
        for (const reader of this.#readers) this.#send(reader);
        return;
      case 'applied':
        this.metrics.blockApplied();
        return;
      case 'answer':
        for (const reader of this.#readers) {
          if (!reader.subscribed || reader.rank !== effect.worker) continue;
          const { block, step } = effect;
          const queued = reader.queued.get(block);
          if (queued) queued.step = step;
          else this.#queue(reader, { block, step });
          this.#send(reader);
        }
        return;
      case 'outcome':
        this.metrics.step(this.id, effect.outcome);
        for (const reader of this.#readers)
          if (reader.subscribed && (effect.worker === undefined || effect.worker === reader.rank))
            this.#tell(reader, {
              outcome: { ...effect.outcome, notFinite: [...effect.outcome.notFinite] },
            });
        return;
      case 'norms':
        this.#normsOut?.send(effect.norms);
        return;
      case 'closed':
      case 'initialized':
        this.#waitingSince = this.now();
        for (const reader of this.#readers) this.#answerFetches(reader);
        return;
    }
  }

  #queue(reader: Reader, queued: Queued): void {
    reader.queued.set(queued.block, queued);
    reader.queue.push(queued);
  }

  /** A small message to a reader; one that leaves too many unread is refused. */
  #tell(reader: Reader, message: PullReply): void {
    if (reader.unread >= UNREAD_MAX) {
      const sentence = `expected at most ${UNREAD_MAX} messages unread, got one more; read the stream`;
      this.#refuseReader(reader, refuse('CREDIT', sentence));
      return;
    }
    reader.unread++;
    reader.call.write(message, () => {
      reader.unread--;
    });
  }

  #refuseReader(reader: Reader, error: Refused): void {
    this.metrics.refused(error.label);
    this.detachReader(reader);
    reader.call.write({ refusal: error.toMessage() as never });
    reader.call.end();
  }

  #answerFetches(reader: Reader): void {
    const [fetch] = reader.fetches;
    if (!fetch || !this.shard.initialized || fetch.step > this.shard.step) return;
    reader.fetches.shift();
    for (const block of fetch.blocks) {
      reader.queue.push({ block, fetched: fetch.codec });
      this.#promised.set(block, (this.#promised.get(block) ?? 0) + 1);
    }
    this.#send(reader);
  }

  /** A block is about to change: whoever fetched it before gets it as it is now, so that readers never stop training. */
  #copyForReaders(block: number): void {
    for (const reader of this.#readers)
      for (const queued of reader.queue) {
        if (!queued.fetched || queued.block !== block) continue;
        try {
          queued.kept ??= this.#encode(block, queued.fetched);
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          this.#refuseReader(reader, error);
        }
      }
  }

  #keepPromise(block: number): void {
    const left = (this.#promised.get(block) ?? 1) - 1;
    if (left > 0) this.#promised.set(block, left);
    else this.#promised.delete(block);
  }

  #send(reader: Reader): void {
    while (reader.unsent < STREAM_UNSENT_MAX) {
      const next = reader.queue.shift();
      if (!next) return;
      let message: Framed;
      try {
        if (next.fetched) this.#keepPromise(next.block);
        message = next.fetched
          ? (next.kept ?? this.#encode(next.block, next.fetched))
          : next.step === undefined
            ? this.#shared(reader, next.block)
            : this.#answer(reader, next, next.step);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        this.#refuseReader(reader, error);
        return;
      }
      reader.unsent++;
      reader.call.write(message, () => {
        reader.unsent--;
        message.release();
        if (this.#readers.has(reader)) this.#send(reader);
      });
      const codec = next.fetched ? codecs[next.fetched] : this.shard.codecOf(next.block);
      const { elements } = this.layout.blocks[next.block];
      this.metrics.moved('sent', codec.id, codec.payloadBytes(elements), elements);
    }
  }

  /** The subscription's message for a block: encoded for the first subscriber, kept until the last has it. */
  #shared(reader: Reader, block: number): Framed {
    reader.queued.delete(block);
    let message = this.#encoded.get(block);
    if (!message) {
      message = this.#encode(block);
      // Each of those who wait for it releases it once; one who leaves before does not, and its buffer is not reused.
      message.share([...this.#readers].filter(({ queued }) => queued.has(block)).length);
      this.#encoded.set(block, message);
    }
    this.#forgetUnawaited(block);
    return message;
  }

  /** ssp, asp: a block as it stands now, for the worker that enters clock `step` with it. */
  #answer(reader: Reader, { block }: Queued, step: number): Framed {
    reader.queued.delete(block);
    const { payload, ...fields } = this.shard.encodeUpdate(block);
    const staleness = Math.max(0, step - (fields.clockMin ?? step));
    this.#stalest = Math.max(this.#stalest, staleness);
    this.metrics.read(this.id, reader.rank ?? 0, staleness, this.#stalest);
    return frameBulk(FIELD.block, { block, fetched: false, ...fields, step }, payload, this.#frames);
  }

  #forgetUnawaited(block: number): void {
    for (const { queued } of this.#readers) if (queued.has(block)) return;
    this.#encoded.delete(block);
  }

  #encode(block: number, fetched?: DirectCodecName): Framed {
    const { payload, ...fields } = fetched
      ? this.shard.encode(block, fetched)
      : this.shard.encodeUpdate(block);
    return frameBulk(
      FIELD.block,
      { block, fetched: fetched !== undefined, ...fields },
      payload,
      this.#frames,
    );
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
            if (writer === dirty) this.detachWriter(rank, dirty.call);
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
