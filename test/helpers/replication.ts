// A primary of a shard that is driven by hand, with its copies: what goes to a copy waits on a wire, in the form in which
// it travels, until the test delivers it.
import { EventEmitter } from 'node:events';
import type { MethodDefinition } from '@grpc/grpc-js';
import type { Diverged } from '../../server/replication/backup-link.js';
import { Copies, type CopiesOptions, type Copy } from '../../server/replication/copies.js';
import { Replica } from '../../server/replication/replica.js';
import { type Effect, Shard } from '../../server/shard.js';
import type { Bulk } from '../../shared/rpc/bulk.js';
import { Framed } from '../../shared/rpc/frame.js';
import type {
  ReplicaMessage,
  ReplicaMessage__Output,
} from '../../shared/rpc/generated/gradloom/v1/ReplicaMessage.js';
import { replicationService } from '../../shared/rpc/proto.js';
import { copyReceived } from '../../shared/rpc/receive.js';
import type { ReplicationStreams } from '../../shared/rpc/transport.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { bulkOf, contributionOf, headerOf, normals } from './shards.js';

const method = (replicationService as Record<string, unknown>).Replicate as MethodDefinition<
  ReplicaMessage,
  unknown
>;

/** A primary's stream to a copy. */
class Wire extends EventEmitter {
  readonly #messages: ReplicaMessage__Output[] = [];
  #applied = -1;
  /** Blocks of which all arrays were sent to the copy, in the order in which it took them. */
  readonly copied: number[] = [];

  get length(): number {
    return this.#messages.length;
  }

  write(message: ReplicaMessage | Framed, written?: () => void): boolean {
    const bytes = message instanceof Framed ? Buffer.from(message.message) : method.requestSerialize(message);
    this.#messages.push(method.requestDeserialize(copyReceived(bytes)) as ReplicaMessage__Output);
    written?.();
    return true;
  }

  end(): void {}
  cancel(): void {}

  /** The copy takes the oldest message, and says so. Returns false where there is none. */
  deliver(replica: Replica): boolean {
    const message = this.#messages.shift();
    if (!message) return false;
    const { update, part, array } = message as unknown as { [kind in 'update' | 'part' | 'array']?: Bulk };
    if (message.hello) replica.begin();
    else if (update) replica.update(update);
    else if (part) replica.part(part);
    else if (array) {
      replica.array(array);
      if (array.codec === 0) this.copied.push(array.block);
    } else if (message.outcome) replica.verdict(message.outcome);
    else if (message.withdrawn) replica.withdrawn(message.withdrawn.step);
    else if (message.compare) this.emit('data', { compared: replica.sumsOf(message.compare.block) });
    else if (message.kept) replica.kept(message.kept.block, message.kept.step);
    else if (message.copied) replica.copied(message.copied.step, message.copied.outcome ?? undefined);
    this.#applied++;
    if (this.#applied > 0) this.emit('data', { applied: { messages: this.#applied } });
    return true;
  }
}

export class Primary {
  readonly shard: Shard;
  readonly copies: Copies;
  /** What its clock shows. */
  nowMs = 0;
  /** What has left it, in order. */
  readonly left: Effect[] = [];
  /** The newest stream to each copy, by its address. */
  readonly wires = new Map<string, Wire>();
  /** Copies of which the keeper was told that they are whole. */
  readonly reported: number[] = [];
  /** Payload of updates that was sent. */
  sentBytes = 0;
  /** Blocks of copies that were found to be others than its own. */
  readonly diverged: Diverged[] = [];

  /** @param from the copy that takes over; by default it is the first */
  constructor(
    readonly spec: RunSpec,
    from?: Replica,
  ) {
    this.shard = from?.shard ?? newShard(spec);
    from?.shard.takeOver(1, spec, from.opening);
    const options: CopiesOptions = {
      shard: this.shard,
      hello: () => ({}),
      open: (address) => {
        const wire = new Wire();
        this.wires.set(address, wire);
        return { Replicate: () => wire, close: () => undefined } as unknown as ReplicationStreams;
      },
      after: (_ms, work) => work(),
      now: () => this.nowMs,
      carryOut: (effect) => {
        this.left.push(effect);
        // As for subscribers: what they hold moves with each update.
        if (effect.kind === 'updated') this.shard.encodeUpdate(effect.block);
      },
      onSent: (what, bytes) => {
        if (what === 'updates') this.sentBytes += bytes;
      },
      onDrained: () => undefined,
      onReplicated: (server) => void this.reported.push(server),
      onBroken: () => undefined,
      onDiverged: (_server, diverged) => void this.diverged.push(diverged),
    };
    this.copies = new Copies(options, from?.outcome);
  }

  /** Backups, by number. */
  place(...servers: number[]): void {
    this.copies.place(servers.map((server): Copy => ({ server, address: `${server}`, isBackup: true })));
  }

  wire(server: number): Wire {
    return this.wires.get(`${server}`) as Wire;
  }

  /** Messages of a step, or (-1) the first values, each at its time. */
  *step(step: number): Generator<void> {
    for (const send of sendsOf(this.spec, this.shard, step, (block) => this.copies.initial(block))) {
      this.copies.emit(send());
      yield;
    }
  }
}

export function newShard(spec: RunSpec): Shard {
  const layout = layoutOf(spec);
  return new Shard(
    spec,
    layout,
    layout.blocks.map(({ index }) => index),
  );
}

export function newReplica(spec: RunSpec): Replica {
  const exchanged = layoutOf(spec).blocks.filter(({ kind }) => kind !== 'frozen');
  return new Replica(
    newShard(spec),
    exchanged.map(({ index }) => index),
    0,
  );
}

/** What workers send of a step, one call a message; -1: the first values. */
export function sendsOf(
  spec: RunSpec,
  shard: Shard,
  step: number,
  onInitial: (block: number) => void = () => undefined,
): (() => Effect[])[] {
  const { blocks } = layoutOf(spec);
  if (step < 0)
    return blocks.map(({ index, elements }) => () => {
      const effects = shard.initial(0, bulkOf(0, index, 'fp32', normals(elements, 'initial', index)));
      onInitial(index);
      return effects;
    });
  const workers = Array.from({ length: spec.workers }, (_, rank) => rank);
  return [
    ...workers.map((rank) => () => shard.header(rank, step, headerOf(step, rank))),
    ...blocks
      .filter(({ kind }) => kind !== 'frozen')
      .flatMap(({ index }) =>
        workers.map((rank) => () => shard.contribution(rank, contributionOf(spec, step, rank, index))),
      ),
  ];
}

/** All arrays of a shard, and the versions of its blocks, to the bit. */
export function bitsOf(shard: Shard): string[] {
  return [...shard.blockIndices].flatMap((block) => {
    const { version, arrays } = shard.stateOf(block);
    return [...arrays].map(
      ([name, array]) =>
        `${block} ${name} ${version} ${Buffer.from(new Uint8Array(array.slice().buffer)).toString('base64')}`,
    );
  });
}

/** One bit of what a shard holds, as a fault of the memory would change it. */
export interface FlippedBit {
  readonly block: number;
  /** Of the block, in the order of `stateOf`. */
  readonly array: number;
  readonly element: number;
  readonly bit: number;
}

/** Returns the name of the array. Numbers that are too large are taken modulo what there is. */
export function flipBit(shard: Shard, { block, array, element, bit }: FlippedBit): string {
  const arrays = [...shard.stateOf(block).arrays];
  const [name, values] = arrays[array % arrays.length];
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  words[element % words.length] ^= 1 << (bit % 32);
  return name;
}
