// The shards that a server holds: of which it is the primary (HostedRun), and of which it keeps a copy (Replica). What the
// view says of this server is made true, and no more is held. One order does it all, so that a server that has missed
// some needs only the last.
import { schemaHash } from '../shared/blocks/manifest.js';
import type { ReplicaHello__Output } from '../shared/rpc/generated/gradloom/v1/ReplicaHello.js';
import type { View__Output } from '../shared/rpc/generated/gradloom/v1/View.js';
import { PROTOCOL_VERSION } from '../shared/rpc/proto.js';
import { refuse } from '../shared/rpc/refusal.js';
import type { ReplicationStreams } from '../shared/rpc/transport.js';
import { specUnder } from '../shared/run/rules.js';
import { layoutOf, type RunSpec } from '../shared/run/spec.js';
import { shardsOf } from '../shared/view.js';
import { HostedRun } from './hosted-run.js';
import type { ServerMetrics } from './metrics.js';
import { Copies, type Copy } from './replication/copies.js';
import { Replica } from './replication/replica.js';
import type { ReplicaHolder } from './replication/replication-service.js';
import { Shard } from './shard.js';

export interface HostedShardsOptions {
  readonly metrics: ServerMetrics;
  /** Streams to the Replication service of another server. */
  open(address: string): ReplicationStreams;
  /** Timers, and a monotonic clock in milliseconds. */
  after(ms: number, work: () => void): void;
  now(): number;
  /** Time after which a backup that is not reached is told of. */
  readonly peerDeadlineMs: number;
  /** A shard is held as its primary from now on: what it needs of the server is given to it. */
  equip(run: HostedRun): void;
  /** A server has become a copy of a shard of which this is the primary. */
  onReplicated(run: string, shard: number, server: number): void;
  /** A backup is out of reach. */
  onBackupLost(run: string, shard: number, server: number, reason: string): void;
  /** A block of a copy was another than that of this primary, and has been sent again. */
  onDiverged(event: DivergedEvent): void;
  log(message: string): void;
}

/** A copy that was not equal to its primary, for people and programs. */
export interface DivergedEvent {
  readonly event: 'diverged';
  readonly run: string;
  readonly shard: number;
  readonly block: number;
  /** Updates of the block. */
  readonly version: number;
  /** Ids of the servers. */
  readonly primary: number;
  readonly backup: number;
  /** All of it, in one sentence. */
  readonly text: string;
}

interface Kept {
  readonly replica: Replica;
  readonly shard: number;
  primary: number;
}

interface Placed {
  spec: RunSpec;
  view: View__Output;
  /** Decided, and perhaps not in force everywhere. */
  next?: View__Output;
  readonly replicas: Map<number, Kept>;
  /** View.term by which the run was prepared here: whoever speaks of an earlier time speaks of other shards. */
  readonly since: number;
}

export class HostedShards implements ReplicaHolder {
  readonly #options: HostedShardsOptions;
  /** Shards of which this server is the primary, by run and index. */
  readonly runs = new Map<string, Map<number, HostedRun>>();
  readonly #placed = new Map<string, Placed>();
  #serverId = -1;

  constructor(options: HostedShardsOptions) {
    this.#options = options;
  }

  /** All of which this server is the primary. */
  *all(): IterableIterator<HostedRun> {
    for (const shards of this.runs.values()) yield* shards.values();
  }

  /** Copies of a run that are kept here for others, and the bytes of their memory. */
  replicas(): { copies: number; bytes: number } {
    const kept = [...this.#placed.values()].flatMap(({ replicas }) => [...replicas.values()]);
    return {
      copies: kept.length,
      bytes: kept.reduce((sum, { replica }) => sum + replica.shard.memoryBytes, 0),
    };
  }

  of(id: string): ReadonlyMap<number, HostedRun> {
    const shards = this.runs.get(id);
    if (!shards)
      throw refuse(
        'UNKNOWN_RUN',
        `expected a run that is held here, got '${id.slice(0, 80)}'; it has ended, or is another mesh's`,
      );
    return shards;
  }

  /** Makes the shards of a run of which this server is the primary; what it held of it before is dropped. */
  prepare(id: string, spec: RunSpec, view: View__Output, serverId: number): void {
    this.end(id);
    this.#begin(id, spec, view, serverId, view.term);
    for (const [index, { primary }] of shardsOf(view).entries())
      if (primary === serverId) this.#host(id, spec, view, index);
  }

  #begin(id: string, spec: RunSpec, view: View__Output, serverId: number, since = 0): void {
    this.#serverId = serverId;
    this.#placed.set(id, { spec, view, replicas: new Map(), since });
    this.runs.set(id, new Map());
  }

  /** Holds what a view says of this server, which may have come after the run began. Throws Refused where it cannot. */
  place(id: string, spec: RunSpec, view: View__Output, serverId: number): void {
    if (!this.#placed.has(id)) this.#begin(id, spec, view, serverId);
    const placed = this.#placed.get(id);
    const hosted = this.runs.get(id);
    if (!placed || !hosted || view.term < placed.view.term) return;
    Object.assign(placed, { spec, view });
    for (const [index, { primary, backups, joining }] of shardsOf(view).entries()) {
      const kept = placed.replicas.get(index);
      if (primary === this.#serverId) {
        const run = hosted.get(index) ?? this.#takeOver(id, placed, index);
        const addresses = new Map(view.servers.map((server) => [server.id, server.address]));
        const copies = [...backups, ...joining].flatMap((server): Copy[] => {
          const address = addresses.get(server);
          return address === undefined ? [] : [{ server, address, isBackup: backups.includes(server) }];
        });
        run.placeCopies(copies);
      } else if (backups.includes(this.#serverId) || joining.includes(this.#serverId)) {
        // One that was given up stays as it is: its primary says when it is a copy again.
        if (kept) kept.primary = primary;
        else
          placed.replicas.set(index, { replica: this.#newReplica(spec, view, index), shard: index, primary });
      } else placed.replicas.delete(index);
      if (primary !== this.#serverId && hosted.has(index)) {
        hosted.get(index)?.close();
        hosted.delete(index);
      }
    }
  }

  /** Throws Refused. */
  change(id: string, view: View__Output): void {
    const placed = this.#placed.get(id);
    for (const run of this.of(id).values()) run.change(view);
    if (placed) placed.next = view;
  }

  /** Throws Refused. */
  fence(id: string, rank: number): { step: number; complete: boolean; initialized: boolean } {
    const all = [...this.of(id).values()].map((run) => run.fence(rank));
    const step = Math.min(...all.map((each) => each.step));
    return {
      step,
      complete: all.every((each) => each.step > step || each.complete),
      initialized: all.every(({ initialized }) => initialized),
    };
  }

  end(id: string): boolean {
    for (const run of this.runs.get(id)?.values() ?? []) run.close();
    this.#placed.delete(id);
    return this.runs.delete(id);
  }

  replicaOf({ protocolVersion, run, term, shard, server, schemaHash: hash }: ReplicaHello__Output): Replica {
    if (protocolVersion !== PROTOCOL_VERSION)
      throw refuse(
        'PROTOCOL_VERSION',
        `expected protocol version ${PROTOCOL_VERSION}, got ${protocolVersion}; run the same gradloom on every node`,
      );
    const placed = this.#placed.get(run);
    if (!placed)
      throw refuse(
        'UNKNOWN_RUN',
        `expected a run that is held here, got '${run.slice(0, 80)}'; it has ended`,
      );
    if (!hash.equals(schemaHash(placed.spec.tensors)))
      throw refuse('SCHEMA', "expected the schema hash of the run's model, got another");
    if (term < placed.since)
      throw refuse(
        'STALE_VIEW',
        `expected the shards of term ${placed.since} or later, got those of term ${term}; the run was placed anew`,
      );
    if (this.runs.get(run)?.has(shard))
      throw refuse('STALE_VIEW', `this server is the primary of shard ${shard} now: server ${server} is not`);
    const kept = placed.replicas.get(shard);
    if (!kept)
      throw refuse('NOT_NOW', `expected a shard that is copied here, got ${shard}; the view has yet to come`);
    if (kept.primary !== server)
      throw refuse(
        'STALE_VIEW',
        `expected server ${kept.primary} as the primary of shard ${shard}, got server ${server}`,
      );
    return kept.replica;
  }

  isCurrent(replica: Replica, server: number): boolean {
    for (const { replicas } of this.#placed.values())
      for (const kept of replicas.values()) if (kept.replica === replica) return kept.primary === server;
    return false;
  }

  #ownedBy(view: View__Output, index: number): number[] {
    return view.placement.flatMap((owner, block) => (owner === index ? [block] : []));
  }

  #newReplica(spec: RunSpec, view: View__Output, index: number): Replica {
    const layout = layoutOf(spec);
    const owned = this.#ownedBy(view, index);
    const fromStep = spec.resume?.step ?? 0;
    const shard = new Shard(spec, layout, owned, this.#options.metrics.probe, false, fromStep);
    return new Replica(
      shard,
      owned.filter((block) => layout.blocks[block].kind !== 'frozen'),
      fromStep,
    );
  }

  #takeOver(id: string, placed: Placed, index: number): HostedRun {
    const { spec, view, next, replicas } = placed;
    const kept = replicas.get(index);
    if (!kept?.replica.isWhole)
      throw refuse(
        'NOT_NOW',
        `expected to take over a shard of which a whole copy is here, got shard ${index} of run '${id}'`,
      );
    const { replica } = kept;
    replicas.delete(index);
    const members = view.workers.map(({ rank }) => rank);
    const under = specUnder(spec, view);
    // The view may have been decided and hold from a later step only: until then it is the one before, by the same rules.
    // Where somebody has left, the keeper decides once more.
    const isInForce = Boolean(view.departed) || replica.step >= view.fromStep;
    const number = isInForce ? view.number : view.number - 1;
    replica.shard.takeOver(number, under, replica.opening, members.length > 0 ? members : undefined);
    this.#options.log(
      `run ${id}: takes over shard ${index} at step ${replica.step} from server ${kept.primary}`,
    );
    this.#options.metrics.tookOver();
    const run = this.#host(id, under, { ...view, number }, index, replica);
    const later = next && next.number > view.number ? next : view;
    if (later.number > number) run.change(later);
    return run;
  }

  #host(id: string, spec: RunSpec, view: View__Output, index: number, from?: Replica): HostedRun {
    const { metrics, now, after, open, peerDeadlineMs, equip, onReplicated, onBackupLost, onDiverged, log } =
      this.#options;
    const taken = from && { shard: from.shard, outcome: from.outcome };
    /** For how many deadlines each backup has been told of as out of reach. */
    const told = new Map<number, number>();
    const owned = this.#ownedBy(view, index);
    const run = new HostedRun(id, spec, view, layoutOf(spec), owned, metrics, now, index, taken);
    run.keepCopies(
      new Copies(
        {
          shard: run.shard,
          ...{ open, after, now },
          hello: () => ({
            protocolVersion: PROTOCOL_VERSION,
            run: id,
            term: this.#placed.get(id)?.view.term ?? 0,
            shard: index,
            server: this.#serverId,
            schemaHash: schemaHash(spec.tensors),
          }),
          carryOut: (effect) => run.carryOut(effect),
          onSent: (what, bytes) => metrics.replicated('sent', what, bytes),
          onDrained: () => run.committed(),
          onReplicated: (server) => onReplicated(id, index, server),
          onBroken: (server, brokenMs, reason) => {
            const deadlines = Math.floor(brokenMs / peerDeadlineMs);
            if (brokenMs < 1)
              log(`run ${id}: the copy of shard ${index} on server ${server} is cut off: ${reason}`);
            else if (deadlines > (told.get(server) ?? 0)) onBackupLost(id, index, server, reason);
            told.set(server, deadlines);
          },
          onDiverged: (backup, { block, version, arrays }) => {
            const primary = this.#serverId;
            const what = arrays.length > 0 ? arrays.join(', ') : 'updates';
            const text =
              `run ${id}: block ${block} of shard ${index} differs after ${version} updates between server ${primary}, its primary, ` +
              `and its copy on server ${backup} (${what}); it was sent again and training goes on: check the memory of these hosts`;
            metrics.diverged();
            onDiverged({ event: 'diverged', run: id, shard: index, block, version, primary, backup, text });
          },
        },
        from?.outcome,
      ),
    );
    this.runs.get(id)?.set(index, run);
    equip(run);
    return run;
  }
}
