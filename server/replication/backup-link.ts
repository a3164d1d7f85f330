// A primary's stream to one backup of its shard. It begins with a copy of all that the shard holds, a few blocks at a
// time while training goes on, and then carries every record as it is made: a block is copied at a version, and what
// happens to it after that follows. A stream that breaks is opened again, and begins anew; there, and where another was the
// primary before, blocks are compared first, and only those are copied that are others. What is on its way is bounded by
// one step of the shard: no worker goes on before its updates have been acknowledged. A block that is found to be another
// than here is copied once more, in the midst of the stream.
import type * as grpc from '@grpc/grpc-js';
import { RECONNECT_MS, STREAM_UNSENT_MAX } from '../../shared/limits.js';
import { type BulkFields, frameBulk } from '../../shared/rpc/bulk.js';
import { Framed, FramePool } from '../../shared/rpc/frame.js';
import type { ReplicaCompared__Output } from '../../shared/rpc/generated/gradloom/v1/ReplicaCompared.js';
import type { ReplicaHello } from '../../shared/rpc/generated/gradloom/v1/ReplicaHello.js';
import type { ReplicaMessage } from '../../shared/rpc/generated/gradloom/v1/ReplicaMessage.js';
import type { ReplicaReply__Output } from '../../shared/rpc/generated/gradloom/v1/ReplicaReply.js';
import { FIELD } from '../../shared/rpc/proto.js';
import { reasonOf } from '../../shared/rpc/reason.js';
import type { ReplicationStreams } from '../../shared/rpc/transport.js';
import type { BlockSums, Shard, SummedPart, UpdateRecord } from '../shard.js';
import { type Outcome, outcomeToWire } from '../step-headers.js';

/** What a backup has to know. */
export type LogRecord =
  | { readonly kind: 'initial'; readonly block: number }
  | { readonly kind: 'update'; readonly block: number; readonly update: UpdateRecord }
  | { readonly kind: 'verdict'; readonly outcome: Outcome }
  | { readonly kind: 'withdrawn'; readonly step: number };

/** What goes to a backup: updates of blocks that it has, and whole blocks. */
export type Replicated = 'updates' | 'blocks';

export interface BackupLinkOptions {
  readonly server: number;
  readonly address: string;
  readonly shard: Shard;
  /** Whether a whole copy is taken to be there, of this primary or the one before. */
  readonly isThere: boolean;
  /** As it is now. */
  hello(): ReplicaHello;
  /** The verdict on the last step that had one. */
  outcome(): Outcome | undefined;
  open(address: string): ReplicationStreams;
  /** Timers, and a monotonic clock in milliseconds. */
  after(ms: number, work: () => void): void;
  now(): number;
  /** Payload has been sent. */
  onSent(what: Replicated, bytes: number): void;
  /** Everything up to a record of the log has been applied there. */
  onApplied(): void;
  /** A stream broke, or could not be opened. */
  onBroken(reason: string): void;
  /** A block was another there, and has been sent again. */
  onDiverged(diverged: Diverged): void;
}

/** A block of a copy that was not equal to the primary's. */
export interface Diverged {
  readonly block: number;
  /** Updates of it, at the primary. */
  readonly version: number;
  /** Arrays that were others, by the names that snapshots have for them; none: the copy had other updates. */
  readonly arrays: readonly string[];
}

const NOTHING = new Uint8Array(0);

type Call = grpc.ClientDuplexStream<ReplicaMessage | Framed, ReplicaReply__Output>;

export class BackupLink {
  readonly #options: BackupLinkOptions;
  readonly #frames = new FramePool();
  #streams: ReplicationStreams | undefined;
  #call: Call | undefined;
  #closed = false;
  /** Messages sent on this stream after hello. */
  #sent = 0;
  /** For each record that is on its way: the number of its message, and its own. */
  #onTheWay: { message: number; record: number }[] = [];
  /** Whether blocks are compared before they are copied. */
  #isThere: boolean;
  /** Blocks that have still to be compared, or copied. */
  #uncopied = new Set<number>();
  /** Those of them that are others there. */
  readonly #others = new Set<number>();
  /** Goes on with them. */
  #copyOn: () => void = () => undefined;
  /** The message that says that all is copied; undefined: it has not been sent. */
  #copiedMessage: number | undefined;
  #isWhole = false;
  /** The last record that the backup has applied, or that was in what it was sent a copy of. */
  #applied = 0;
  /** The newest record of the log. */
  #newest = 0;
  #brokenSince: number | undefined;
  /** Blocks whose sum has been sent in parts so far, by how many. */
  readonly #parts = new Map<number, number>();
  /** What was asked for and not answered, in order. */
  #asked: BlockSums[] = [];

  constructor(options: BackupLinkOptions, newest: number) {
    this.#options = options;
    this.#newest = newest;
    this.#isThere = options.isThere;
    this.#open();
  }

  get server(): number {
    return this.#options.server;
  }

  /** The last record that is applied there; before all is copied none. */
  get applied(): number {
    return this.#isWhole ? this.#applied : 0;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Milliseconds for which it has not been reached. */
  get brokenMs(): number {
    return this.#brokenSince === undefined ? 0 : this.#options.now() - this.#brokenSince;
  }

  /** A contribution has been added to a block's sum: it goes there where that makes fewer bytes, else the sum will. */
  part({ block, first, isSmaller, payload, weight, ...fields }: SummedPart): void {
    const before = first ? 0 : this.#parts.get(block);
    if (before === undefined || (first && !isSmaller) || !this.#call || this.#uncopied.has(block)) {
      this.#parts.delete(block);
      return;
    }
    this.#parts.set(block, before + 1);
    const checksum = this.#options.shard.checksumOf(payload);
    const all = { ...fields, block, fetched: first, scalars: [weight], checksum };
    this.#write(frameBulk(FIELD.part, all, payload, this.#frames));
    this.#options.onSent('updates', payload.byteLength);
  }

  record(number: number, record: LogRecord): void {
    this.#newest = number;
    if (!this.#call) return;
    if ('block' in record && this.#uncopied.has(record.block)) return;
    if (record.kind === 'initial') {
      const arrays = this.#options.shard.arraysOf(record.block);
      for (let at = 0; at < arrays; at++) this.#array(record.block, at);
      this.#onTheWay.push({ message: this.#sent, record: number });
      return;
    }
    this.#onTheWay.push({ message: this.#sent + 1, record: number });
    if (record.kind === 'verdict') this.#write({ outcome: outcomeToWire(record.outcome) });
    else if (record.kind === 'withdrawn') this.#write({ withdrawn: { step: record.step } });
    else {
      const { block } = record;
      const { scalars, step, version } = record.update;
      const isThere = this.#parts.get(block) === record.update.parts;
      this.#parts.delete(block);
      const payload = isThere ? NOTHING : record.update.sum();
      const { gradientScale, learningRate, stepSize, epsilon } = scalars;
      const adam = stepSize === undefined || epsilon === undefined ? [] : [stepSize, epsilon];
      const all = {
        ...{ step, version, block, codec: 1, scale: 0 },
        scalars: [gradientScale, learningRate, ...adam],
        ...(isThere ? { clockMin: record.update.parts } : {}),
        checksum: isThere ? 0 : this.#options.shard.checksumOf(payload),
      };
      this.#write(frameBulk(FIELD.update, all, payload, this.#frames));
      this.#options.onSent('updates', payload.byteLength);
    }
  }

  /** Asks for a block, which was this here when all that has been sent was done. Not while it is being copied. */
  compare(sums: BlockSums): void {
    if (this.#call && this.#isWhole) this.#ask(sums);
  }

  #ask(sums: BlockSums, written?: () => void): void {
    this.#asked.push(sums);
    this.#write({ compare: { block: sums.block } }, written);
  }

  close(): void {
    this.#closed = true;
    this.#call?.end();
    this.#streams?.close();
    this.#call = undefined;
  }

  #open(): void {
    if (this.#closed) return;
    const { shard, address } = this.#options;
    const streams = this.#options.open(address);
    const call = streams.Replicate() as unknown as Call;
    this.#streams = streams;
    this.#call = call;
    this.#sent = 0;
    this.#onTheWay = [];
    this.#asked = [];
    this.#copiedMessage = undefined;
    this.#isWhole = false;
    this.#parts.clear();
    this.#others.clear();
    this.#uncopied = new Set([...shard.blockIndices].filter((block) => shard.isInitialized(block)));
    const broken = (reason: string) => {
      if (this.#call !== call) return;
      this.#call = undefined;
      this.#isWhole = false;
      this.#brokenSince ??= this.#options.now();
      call.cancel();
      streams.close();
      this.#options.onBroken(reason);
      this.#options.after(RECONNECT_MS, () => this.#open());
    };
    call.on('data', ({ applied, compared, refusal }: ReplicaReply__Output) => {
      if (this.#call !== call) return;
      if (refusal) broken(`it refused: ${refusal.sentence}`);
      else if (compared) {
        const asked = this.#asked.shift();
        if (asked?.block === compared.block) return this.#judge(asked, compared);
        broken(
          `expected it to compare ${asked ? `block ${asked.block}` : 'nothing'}, got block ${compared.block}`,
        );
      } else if (applied) this.#acknowledged(applied.messages);
    });
    call.on('error', (error: grpc.ServiceError) => broken(reasonOf(error)));
    call.on('end', () => broken('it ended the stream'));
    call.write({ hello: this.#options.hello() });
    this.#copy(call);
  }

  /** Sends what has still to be copied, as the stream takes it; where it may be there already, asks. */
  #copy(call: Call): void {
    const { shard } = this.#options;
    let unsent = 0;
    const next = () => {
      while (this.#call === call && unsent < STREAM_UNSENT_MAX) {
        const [block] = this.#uncopied;
        if (block === undefined) return this.#finishCopy();
        this.#uncopied.delete(block);
        // While the difference that its last update makes is still to be encoded, what workers hold has moved there alone.
        if (this.#isThere && !this.#others.has(block) && !shard.isDifferenceDue(block)) {
          unsent++;
          this.#ask(shard.sumsOf(block), () => {
            unsent--;
            next();
          });
          continue;
        }
        const arrays = shard.arraysOf(block);
        for (let at = 0; at < arrays; at++) {
          unsent++;
          this.#array(block, at, () => {
            unsent--;
            // The arrays of a block follow on each other, whenever the stream takes them.
            if (at === arrays - 1) next();
          });
        }
      }
    };
    this.#copyOn = next;
    next();
  }

  #finishCopy(): void {
    if (this.#copiedMessage !== undefined || this.#asked.length > 0) return;
    const { shard } = this.#options;
    const outcome = this.#options.outcome();
    this.#copiedMessage = this.#sent + 1;
    this.#onTheWay.push({ message: this.#copiedMessage, record: this.#newest });
    this.#write({
      copied: {
        step: shard.step,
        ...(outcome ? { outcome: outcomeToWire(outcome) } : {}),
      },
    });
  }

  #array(block: number, at: number, written?: () => void): void {
    const { shard } = this.#options;
    const { version, arrays } = shard.stateOf(block);
    const [name, array] = [...arrays][at];
    const fields: BulkFields = {
      step: shard.decidedOn(block),
      block,
      codec: at,
      scale: 0,
      version,
      fetched: name === 'held' && shard.isDifferenceDue(block),
    };
    const payload = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    this.#write(frameBulk(FIELD.array, fields, payload, this.#frames), written);
    this.#options.onSent('blocks', payload.byteLength);
  }

  /** Sends a block again that is another there. What has happened to it since was sent before; what will, follows. */
  #judge({ block, version, checksums }: BlockSums, there: ReplicaCompared__Output): void {
    const { shard } = this.#options;
    const names = [...shard.stateOf(block).arrays.keys()];
    const arrays = names.filter((_, at) => checksums[at] !== there.checksums[at]);
    const isEqual = version === there.version && arrays.length === 0;
    if (this.#copiedMessage === undefined) {
      if (isEqual) this.#write({ kept: { block, step: shard.decidedOn(block) } });
      else {
        // Others may have been told of less than the primary before has sent there, or of more.
        this.#others.add(block);
        this.#uncopied.add(block);
      }
      this.#copyOn();
      return;
    }
    if (isEqual) return;
    this.#options.onDiverged({ block, version, arrays: version === there.version ? arrays : [] });
    for (const at of names.keys()) this.#array(block, at);
  }

  #write(message: ReplicaMessage | Framed, written?: () => void): void {
    this.#sent++;
    this.#call?.write(message, () => {
      if (message instanceof Framed) message.release();
      written?.();
    });
  }

  #acknowledged(messages: number): void {
    while (this.#onTheWay.length > 0 && this.#onTheWay[0].message <= messages)
      this.#applied = (this.#onTheWay.shift() as { record: number }).record;
    if (this.#copiedMessage !== undefined && messages >= this.#copiedMessage) {
      this.#isWhole = true;
      this.#isThere = true;
      this.#brokenSince = undefined;
    }
    this.#options.onApplied();
  }
}
