// A cluster in one process and one thread: the real coordinator, shards, streams' handlers and clients, over a
// simulated network and clock. Only gRPC's sockets, LMDB and TensorFlow.js are left out. Here are its nodes together, and what
// is seen of all of them; what each does is in keeper-node, server-node, worker-node and reader, what they train in workload.
import { Coordinator, type Run } from '../../../server/coordinator.js';
import type { HostedRun } from '../../../server/hosted-run.js';
import type { OptimizerSpec } from '../../../shared/optimizer/spec.js';
import { keyedRandom } from '../../../shared/random.js';
import type { RunSpec } from '../../../shared/run/spec.js';
import type { FlippedBit } from '../../helpers/replication.js';
import type { Bug } from './bugs.js';
import { CopiesWatch, type Placed } from './copies-watch.js';
import { KeeperNode } from './keeper-node.js';
import { type Delays, SimulatedNetwork } from './network.js';
import { type ReaderHistory, readRun } from './reader.js';
import { Scheduler } from './scheduler.js';
import { startServer } from './server-node.js';
import { runWorker, type WorkerHistory } from './worker-node.js';
import { specOf, type Tensors } from './workload.js';

export const PEER_DEADLINE_MS = 20_000;
/** How often the copies of shards are compared. */
const LOOK_MS = 40;

export interface ClusterOptions {
  readonly seed: number;
  readonly servers: number;
  readonly workers: number;
  readonly steps: number;
  readonly codec: RunSpec['codec'];
  readonly consistency: RunSpec['consistency'];
  readonly staleness?: number;
  /** Whether a worker that dies does not end the run. */
  readonly elastic?: boolean;
  /** Nodes that only read; by default none. */
  readonly readers?: number;
  /** Servers that hold each shard; by default one. */
  readonly replicas?: number;
  /** A server that comes so long (ms) after the others; by default none does. */
  readonly lateServerMs?: number;
  /** By default a few that travel exactly. */
  readonly tensors?: Tensors;
  /** By default plain SGD. */
  readonly optimizer?: OptimizerSpec;
  readonly delays: Delays;
  /** What is wrong with this cluster, on purpose. */
  readonly bug?: Bug;
}

export class Cluster {
  readonly scheduler = new Scheduler();
  readonly network: SimulatedNetwork;
  readonly spec: RunSpec;
  readonly workers: WorkerHistory[] = [];
  readonly readers: ReaderHistory[] = [];
  /** Runs that each server holds now. */
  readonly hosted = new Map<string, ReadonlyMap<string, ReadonlyMap<number, HostedRun>>>();
  /** Ranks without whom the others have gone on, and from which step. */
  readonly departures = new Map<number, number>();
  /** Shards that a backup has taken over, and workers' links that were made again. */
  takeovers = 0;
  healedLinks = 0;
  /** Times that a run was prepared again, since a server had gone before it began. */
  placedAnew = 0;
  readonly copies = new CopiesWatch();
  /** The run, once there is one; also when it is over. */
  run: Run | undefined;
  /** What happened, for people. */
  readonly trace: string[] = [];
  readonly coordinator = new Coordinator();
  readonly keeper = new KeeperNode(this);
  /** First element of each block as its server held it when the run was done. */
  readonly finals = new Map<number, number>();

  constructor(readonly options: ClusterOptions) {
    const random = keyedRandom(options.seed, 'network');
    this.network = new SimulatedNetwork(this.scheduler, random, options.delays, PEER_DEADLINE_MS);
    this.spec = specOf(options);
    options.bug?.coordinator?.(this.coordinator);
  }

  get serverNames(): string[] {
    const { servers, lateServerMs } = this.options;
    const length = servers + (lateServerMs === undefined ? 0 : 1);
    return Array.from({ length }, (_, server) => `server-${server}`);
  }

  get workerNames(): string[] {
    return Array.from({ length: this.options.workers }, (_, worker) => `worker-${worker}`);
  }

  get readerNames(): string[] {
    return Array.from({ length: this.options.readers ?? 0 }, (_, reader) => `reader-${reader}`);
  }

  note(text: string): void {
    this.trace.push(`${this.scheduler.nowMs.toFixed(1).padStart(8)} ${text}`);
  }

  /** Starts all nodes; servers first, as a launcher does. */
  start(): void {
    const { servers, lateServerMs = 0 } = this.options;
    for (const [index, name] of this.serverNames.entries())
      this.scheduler.after(index < servers ? index : lateServerMs, name, () => {
        if (name === this.keeper.name) this.keeper.listen();
        startServer(this, name);
      });
    this.scheduler.after(LOOK_MS, 'watch', () => this.#look());
    for (const [index, name] of this.workerNames.entries()) {
      const history: WorkerHistory = {
        ...{ name, rank: -1, reads: new Map(), rules: new Map(), leftOut: [], readMs: [] },
      };
      this.workers.push(history);
      this.scheduler.after(200 + index, name, () => void runWorker(this, history));
    }
    for (const [index, name] of this.readerNames.entries()) {
      const history: ReaderHistory = { name, reads: [], followed: 0 };
      this.readers.push(history);
      this.scheduler.after(200 + index, name, () => void readRun(this, history));
    }
  }

  /** Servers that live and still hold the run. */
  get holders(): string[] {
    return [...this.hosted].flatMap(([name, runs]) =>
      runs.size > 0 && !this.scheduler.isCrashed(name) ? [name] : [],
    );
  }

  /** Whether every worker that lives has come to an end. */
  get haveWorkersEnded(): boolean {
    return this.workers.every(({ name, end }) => end || this.scheduler.isCrashed(name));
  }

  /** Whether everybody who lives has come to an end, and no server holds the run any more. */
  get isOver(): boolean {
    return this.haveWorkersEnded && this.readers.every(({ end }) => end) && this.holders.length === 0;
  }

  /** A node dies, as by kill -9. */
  crash(node: string): void {
    this.note(`${node} is killed`);
    this.network.crash(node);
  }

  /**
   * A bit changes in the memory of a backup that is whole; which, numbers decide that are taken modulo what there is.
   * Returns whether there is such a backup.
   */
  flip(which: number, bit: FlippedBit): boolean {
    const { run } = this;
    const { servers = [], shards = [] } = run?.view ?? {};
    const nameOf = (id: number) => servers.find((server) => server.id === id)?.address ?? '';
    const whole = shards.flatMap(({ primary, backups }, shard) =>
      backups.flatMap((backup) => {
        const name = nameOf(backup);
        const from = this.hosted
          .get(nameOf(primary))
          ?.get(run?.id ?? '')
          ?.get(shard);
        const live = !this.scheduler.isCrashed(name) && !this.scheduler.isCrashed(nameOf(primary));
        return from && live && this.copies.isWhole(name, shard, primary) ? [{ name, shard, from }] : [];
      }),
    );
    if (whole.length === 0) return false;
    const { name, shard, from } = whole[which % whole.length];
    this.note(
      `a bit changes on ${name}, in its copy of shard ${shard}: ${this.copies.flip(name, shard, from, bit)}`,
    );
    return true;
  }

  /** Compares the copies of every shard with its primary, as far as the keeper knows of them. */
  #look(): void {
    const [run] = this.coordinator.runs.values();
    this.run ??= run;
    const isLive = (server: string) => !this.scheduler.isCrashed(server);
    const { servers = [], shards = [] } = run?.view ?? {};
    for (const [shard, { primary }] of shards.entries()) {
      const name = run.servers.find(({ id }) => id === primary)?.address ?? '';
      const hosted = this.hosted.get(name)?.get(run.id)?.get(shard);
      if (hosted && isLive(name) && !this.wasClocked)
        this.copies.look(shard, hosted, { servers: servers as Placed['servers'], shards }, isLive);
    }
    this.scheduler.after(LOOK_MS, 'watch', () => this.#look());
  }

  /** Whether some step was done under clocks of workers' own: then updates are counted otherwise. */
  get wasClocked(): boolean {
    return this.workers.some(({ rules }) => [...rules.values()].some((rule) => rule !== 'bsp'));
  }

  sleep(node: string, ms: number): Promise<void> {
    return new Promise((resolve) => this.scheduler.after(ms, node, resolve));
  }
}
