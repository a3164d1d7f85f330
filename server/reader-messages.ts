// What readers are sent: blocks encoded when a reader has room, once for all subscribers of a version. What was fetched
// is encoded before it changes, so that it is one version, and readers never stop training.
import type { DirectCodecName } from '../shared/codec/codec.js';
import { type BulkFields, frameBulk } from '../shared/rpc/bulk.js';
import { type Framed, FramePool } from '../shared/rpc/frame.js';
import { InMemory } from '../shared/rpc/in-process.js';
import { FIELD } from '../shared/rpc/proto.js';
import { Refused } from '../shared/rpc/refusal.js';
import type { ServerMetrics } from './metrics.js';
import type { Queued, Reader } from './reader.js';
import type { Encoded, Shard } from './shard.js';

/** Which block a message holds, and whether it was fetched. */
interface Which {
  readonly block: number;
  readonly fetched: boolean;
}

export interface ReaderMessagesOptions {
  run: string;
  shard: Shard;
  metrics: ServerMetrics;
  /** All that there are at the time. */
  readers: ReadonlySet<Reader>;
  /** Ends a reader that cannot be sent what it waits for. */
  refuse(reader: Reader, error: Refused): void;
}

export class ReaderMessages {
  readonly #run: string;
  readonly #shard: Shard;
  readonly #metrics: ServerMetrics;
  readonly #readers: ReadonlySet<Reader>;
  readonly #refuse: (reader: Reader, error: Refused) => void;
  /** Encoded subscription messages, current ones only, that some subscriber has not been given yet. */
  readonly #encoded = new Map<number, Framed>();
  readonly #frames = new FramePool();
  /** How many answers to fetches have still to be sent of a block, as it stood when they were asked. */
  readonly #promised = new Map<number, number>();
  /** ssp, asp: the most that a block lacked of any worker's updates when it was read. */
  #stalest = 0;

  constructor({ run, shard, metrics, readers, refuse }: ReaderMessagesOptions) {
    this.#run = run;
    this.#shard = shard;
    this.#metrics = metrics;
    this.#readers = readers;
    this.#refuse = refuse;
  }

  /** What a reader is sent for what waits next in its queue. Throws Refused. */
  next(reader: Reader, queued: Queued): Framed | InMemory {
    if (queued.fetched) {
      this.#keepPromise(queued.block);
      return queued.kept ?? this.#fetched(reader, queued, queued.fetched);
    }
    if (queued.step !== undefined) return this.#answer(reader, queued, queued.step);
    return queued.kept ?? this.#shared(reader, queued.block);
  }

  /** An answer to a fetch of a block has been queued: of the block as it stands now. */
  promise(block: number): void {
    this.#promised.set(block, (this.#promised.get(block) ?? 0) + 1);
  }

  /** A reader has gone. */
  left({ queue, queued }: Reader): void {
    for (const { fetched, block } of queue) if (fetched) this.#keepPromise(block);
    for (const block of queued.keys()) this.#forgetUnawaited(block);
  }

  /** A block has other values: what was encoded of it is not sent any more. */
  changed(block: number): void {
    this.#encoded.delete(block);
  }

  /** Other rules hold, with a bound of their own. */
  ruled(): void {
    this.#stalest = 0;
  }

  /** The difference that a block's last update makes is encoded now; those who wait for it get that. */
  encodeDue(block: number): void {
    const others = [...this.#readers].filter(({ queued }) => queued.has(block)).length;
    const frame = this.#frame({ block, fetched: false }, this.#shard.encodeUpdate(block));
    if (others === 0) return frame.release();
    frame.share(others - 1);
    this.#encoded.set(block, frame);
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
    return new InMemory('block', fieldsOf(which, encoded), encoded.payload);
  }

  #frame(which: Which, encoded: Encoded): Framed {
    return frameBulk(FIELD.block, fieldsOf(which, encoded), encoded.payload, this.#frames);
  }
}

/** Not spread: V8 would give each such object a shape of its own, which costs microseconds here and in `frameBulk`. */
function fieldsOf({ block, fetched }: Which, encoded: Encoded): BulkFields {
  const { step, codec, scale, checksum, version, clockMin, clockMax } = encoded;
  return { step, block, codec, scale, checksum, version, fetched, clockMin, clockMax };
}
