// A cluster in one process and one thread: the real coordinator, shards, streams' handlers and clients, over a
// simulated network and clock. Only gRPC's sockets, LMDB and TensorFlow.js are left out: a worker's gradient is a small
// number that (worker, step, tensor) decides, so that what the parameters must be is known without any of the code.
import { createHash } from 'node:crypto';
import type { MethodDefinition } from '@grpc/grpc-js';
import { Coordinator, type Run } from '../../../server/coordinator.js';
import type { HostedRun } from '../../../server/hosted-run.js';
import { HostedShards } from '../../../server/hosted-shards.js';
import { MembershipService } from '../../../server/membership-service.js';
import { joinMesh, type Mesh } from '../../../server/mesh.js';
import type { ServerMetrics } from '../../../server/metrics.js';
import { parametersHandlers } from '../../../server/parameters-service.js';
import { replicationHandlers } from '../../../server/replication/replication-service.js';
import { blockOffset } from '../../../shared/blocks/blocks.js';
import { Exchange } from '../../../shared/client/exchange.js';
import { oneKeeper } from '../../../shared/client/keepers.js';
import { joinRun } from '../../../shared/client/membership.js';
import { residualBytes } from '../../../shared/client/residuals.js';
import { isExpected, RunError, sentence } from '../../../shared/errors.js';
import { Arena } from '../../../shared/kernels/arena.js';
import { loadKernels } from '../../../shared/kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../../../shared/limits.js';
import { keyedRandom } from '../../../shared/random.js';
import type { ChangeReply } from '../../../shared/rpc/generated/gradloom/v1/ChangeReply.js';
import type { DescribeReply__Output } from '../../../shared/rpc/generated/gradloom/v1/DescribeReply.js';
import type { DrainReply } from '../../../shared/rpc/generated/gradloom/v1/DrainReply.js';
import type { ParametersStreams } from '../../../shared/rpc/in-process.js';
import { membershipService, parametersService, replicationService } from '../../../shared/rpc/proto.js';
import type { MembershipStreams, ReplicationStreams } from '../../../shared/rpc/transport.js';
import {
  CONSISTENCY_IDS,
  layoutOf,
  type OptimizerSpec,
  optimizerSpec,
  type RunSpec,
} from '../../../shared/run-spec.js';
import type { FlippedBit } from '../../helpers/replication.js';
import type { Bug } from './bugs.js';
import { CopiesWatch, type Placed } from './copies-watch.js';
import { type Delays, SimulatedNetwork } from './network.js';
import { type ReaderHistory, readRun } from './reader.js';
import { Scheduler } from './scheduler.js';

export const LEARNING_RATE = 2 ** -6;
type Tensors = RunSpec['tensors'];
const TENSORS: Tensors = Array.from('abcdefgh', (name) => ({ name, shape: [3], kind: 'trainable' }));
/** Some large enough for a lossy codec, and every kind. */
export const MIXED_TENSORS: Tensors = [
  { name: 'a', shape: [1100], kind: 'trainable' },
  { name: 'b', shape: [3], kind: 'trainable' },
  { name: 'c', shape: [1024], kind: 'trainable' },
  { name: 'd', shape: [5], kind: 'state' },
  { name: 'e', shape: [40, 30], kind: 'trainable' },
  { name: 'f', shape: [4], kind: 'frozen' },
];
/** Of top-k: so that every element has its turn in a few steps. */
const TOPK_PERCENT = 10;
export const PEER_DEADLINE_MS = 20_000;
const MEAN_COMPUTE_MS = 20;
const HEARTBEAT_MS = 250;
/** How often the copies of shards are compared. */
const LOOK_MS = 40;

/** What a worker's gradient of a tensor is at a step, in its first element: whole, and never 0, so that none goes unseen. */
export function gradientOf(worker: number, step: number, tensor: number): number {
  const magnitude = 1 + keyedRandom(7, 'gradient', worker, step, tensor).below(8);
  return keyedRandom(7, 'sign', worker, step, tensor).below(2) === 0 ? magnitude : -magnitude;
}

/** By which the gradient of an element is smaller than that of the first. */
export const shareOf = (element: number): number => 1 - (element % 16) / 32;

/** Samples of a worker's part of a step. */
export const samplesOf = (worker: number): number => 1 + (worker % 3);

/** What was seen of a worker, for the checkers. */
export interface WorkerHistory {
  readonly name: string;
  rank: number;
  /** After so many steps: the first element of each tensor, and a code of all bits. */
  readonly reads: Map<number, { values: number[]; bits: string; skew: number }>;
  /** The consistency under which it did each step. */
  readonly rules: Map<number, RunSpec['consistency']>;
  /** What its contributions have left out after each step: first element of each tensor. */
  readonly leftOut: number[][];
  /** When it had the values of each step (simulated ms). */
  readonly readMs: number[];
  /** There once it is connected to every server. */
  exchange?: Exchange;
  /** How it ended: undefined where it has not. */
  end?: { failed: boolean; reason: string };
}

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

const noMetrics: ServerMetrics = {
  probe: { now: () => 0, phase: () => undefined },
  moved: () => undefined,
  rows: () => undefined,
  tables: () => undefined,
  contribution: () => undefined,
  refused: () => undefined,
  held: () => undefined,
  blockApplied: () => undefined,
  step: () => undefined,
  waitedFor: () => undefined,
  read: () => undefined,
  waiting: () => undefined,
  usual: () => undefined,
  stragglers: () => undefined,
  runs: () => undefined,
  viewEntered: () => undefined,
  departed: () => undefined,
  tookOver: () => undefined,
  diverged: () => undefined,
  replicated: () => undefined,
  copies: () => undefined,
  snapshot: () => undefined,
  snapshotWritten: () => undefined,
  snapshotCopies: () => undefined,
};

export class Cluster {
  readonly scheduler = new Scheduler();
  readonly network: SimulatedNetwork;
  readonly spec: RunSpec;
  readonly workers: WorkerHistory[] = [];
  readonly readers: ReaderHistory[] = [];
  /** Runs that each server holds now. */
  readonly hosted = new Map<string, ReadonlyMap<string, ReadonlyMap<number, HostedRun>>>();
  /** Views that somebody has asked for and got. */
  changes = 0;
  /** Whether one gave workers clocks of their own: then there are no copies, and a stream that breaks ends the run. */
  hadClocks = false;
  /** Ranks without whom the others have gone on, and from which step. */
  readonly departures = new Map<number, number>();
  /** Shards that a backup has taken over, and workers' links that were made again. */
  takeovers = 0;
  /** Times that a run was prepared again, since a server had gone before it began. */
  placedAnew = 0;
  healedLinks = 0;
  readonly copies = new CopiesWatch();
  /** The run, once there is one; also when it is over. */
  run: Run | undefined;
  /** What happened, for people. */
  readonly trace: string[] = [];
  readonly coordinator = new Coordinator();
  /** First element of each block as its server held it when the run was done. */
  readonly finals = new Map<number, number>();
  readonly #layout;
  #drain: ((call: { request: object }, answer: (error: null, reply: DrainReply) => void) => void) | undefined;
  #describe: ((call: { request: object }, answer: (error: null, reply: object) => void) => void) | undefined;
  #change:
    | ((call: { request: object }, answer: (error: null, reply: ChangeReply) => void) => void)
    | undefined;

  constructor(readonly options: ClusterOptions) {
    const { seed, delays, workers, steps } = options;
    this.network = new SimulatedNetwork(
      this.scheduler,
      keyedRandom(seed, 'network'),
      delays,
      PEER_DEADLINE_MS,
    );
    this.spec = {
      job: 'simulation',
      tensors: options.tensors ?? TENSORS,
      ...(options.codec === 'topk' ? { topKPercent: TOPK_PERCENT } : {}),
      optimizer: options.optimizer ?? optimizerSpec('sgd', LEARNING_RATE),
      ...(options.elastic ? { elastic: true } : {}),
      consistency: options.consistency,
      ...(options.staleness === undefined ? {} : { staleness: options.staleness }),
      codec: options.codec,
      replicas: options.replicas ?? 1,
      workers,
      globalBatch: Array.from({ length: workers }, (_, worker) => samplesOf(worker)).reduce((a, b) => a + b),
      epochs: 1,
      stepsPerEpoch: steps,
      seed: 1,
      dataFingerprint: 'none',
    };
    this.#layout = layoutOf(this.spec);
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
      this.scheduler.after(index < servers ? index : lateServerMs, name, () =>
        this.#startServer(name, index === 0),
      );
    this.scheduler.after(LOOK_MS, 'watch', () => this.#look());
    for (const [index, name] of this.workerNames.entries()) {
      const history: WorkerHistory = {
        ...{ name, rank: -1, reads: new Map(), rules: new Map(), leftOut: [], readMs: [] },
      };
      this.workers.push(history);
      this.scheduler.after(200 + index, name, () => void this.#work(history));
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

  /** Whether the keeper can answer. */
  get isKept(): boolean {
    const [keeper] = this.serverNames;
    return !this.scheduler.isCrashed(keeper) && !this.scheduler.isPaused(keeper);
  }

  /** Whether everybody who lives has come to an end, and no server holds the run any more. */
  get isOver(): boolean {
    return this.haveWorkersEnded && this.readers.every(({ end }) => end) && this.holders.length === 0;
  }

  /** A node that only reads asks the keeper for a run. Throws RunError where that does not answer. */
  describe(from: string, run: string): Promise<DescribeReply__Output> {
    const [keeper] = this.serverNames;
    const { scheduler } = this;
    const { mostMs, noticeMs } = this.network.delays;
    return new Promise((resolve, reject) => {
      const fail = () => reject(new RunError('cannot reach the keeper: no answer'));
      scheduler.after(scheduler.isCrashed(keeper) ? noticeMs : PEER_DEADLINE_MS, from, fail);
      scheduler.after(mostMs, keeper, () =>
        this.#describe?.({ request: { run } }, (_error, reply) => {
          // As it is now, in the form in which it travels.
          const method = membershipService.Describe as unknown as MethodDefinition<object, object>;
          const bytes = method.responseSerialize(reply);
          scheduler.after(mostMs, from, () =>
            resolve(method.responseDeserialize(bytes) as DescribeReply__Output),
          );
        }),
      );
    });
  }

  /** A node dies, as by kill -9. */
  crash(node: string): void {
    this.note(`${node} is killed`);
    this.network.crash(node);
  }

  /** Somebody asks the keeper for another consistency. */
  change(consistency: 'bsp' | 'ssp' | 'asp', staleness: number): void {
    const request = { run: '', consistency: CONSISTENCY_IDS[consistency], staleness };
    this.note(`${consistency} is asked for`);
    let isRefused = false;
    this.#change?.({ request }, (_error, { refusal, view }) => {
      isRefused = Boolean(refusal);
      this.note(refusal?.sentence ?? `view ${view?.number} holds from step ${view?.fromStep}`);
      if (view) this.changes++;
    });
    // Decided later, it may hold before whoever asked is told.
    this.hadClocks ||= !isRefused && consistency !== 'bsp';
  }

  /** Somebody asks the keeper to empty a server; `emptied` is called when that holds nothing any more. */
  drain(server: string, emptied: () => void): void {
    const [entry] = [...this.coordinator.servers.values()].filter(({ address }) => address === server);
    this.note(`${server} is to be emptied`);
    this.#drain?.({ request: { server: entry?.id ?? -1 } }, (_error, { refusal }) => {
      this.note(refusal?.sentence ?? `${server} is empty`);
      if (!refusal) emptied();
    });
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

  #startServer(name: string, isKeeper: boolean): void {
    const log = (message: string) => this.note(`${name}: ${message}`);
    let tell: Mesh | undefined;
    const { bug } = this.options;
    const metrics = { ...noMetrics, tookOver: () => void this.takeovers++ };
    const shards = new HostedShards({
      metrics,
      open: (address) => this.network.connect<ReplicationStreams>(name, address, replicationService as never),
      after: (ms, work) => this.scheduler.after(ms, name, work),
      now: () => this.scheduler.nowMs,
      peerDeadlineMs: PEER_DEADLINE_MS,
      equip: (run) => bug?.hosted?.(run, run.index),
      onReplicated: (run, shard, server) => tell?.replicated(run, shard, server),
      onBackupLost: (run, shard, server, reason) => tell?.backupLost(run, shard, server, reason),
      onDiverged: (event) => {
        log(event.text);
        this.copies.diverged(event, name);
      },
      log,
    });
    const { runs } = shards;
    this.hosted.set(name, runs);
    this.network.listen(name, parametersHandlers(runs, noMetrics, log) as never);
    const holder = this.copies.holder(name, bug?.holder?.(shards) ?? shards);
    this.network.listen(name, replicationHandlers(holder, noMetrics, log) as never);
    if (isKeeper) {
      const service = new MembershipService(
        () => '',
        log,
        () => undefined,
      );
      service.keep(this.coordinator);
      const handlers = service.handlers();
      this.network.listen(name, handlers as never);
      this.#describe = handlers.Describe as never;
      this.#change = handlers.Change as never;
      this.#drain = handlers.Drain as never;
    }
    const end = (id: string, reason: string) => {
      for (const { shard } of reason === 'done' ? (runs.get(id)?.values() ?? []) : [])
        for (const block of shard.blockIndices)
          this.finals.set(block, new Float32Array(shard.encode(block, 'fp32').payload.slice().buffer)[0]);
      if (shards.end(id)) log(`run ${id} ended: ${reason}`);
    };
    joinMesh({
      keepers: oneKeeper(this.serverNames[0]),
      address: name,
      label: name,
      memoryBytes: 2 ** 26,
      peerDeadlineMs: PEER_DEADLINE_MS,
      streams: this.network.connect<MembershipStreams>(name, this.serverNames[0], membershipService as never),
      prepare: (id, spec, view, serverId) => {
        this.copies.toldView(name, view);
        if (view.term > 1 && isKeeper) this.placedAnew++;
        shards.prepare(id, spec, view, serverId);
        return undefined;
      },
      place: (id, spec, view, serverId) => {
        this.copies.toldView(name, view);
        shards.place(id, spec, view, serverId);
        if (tell) bug?.placed?.(view, tell, id);
      },
      snapshot: () => undefined,
      drained: () => undefined,
      change: (id, view) => shards.change(id, view),
      fence: (id, rank) => shards.fence(id, rank),
      end,
      held: () => [...runs.keys()],
      lost: (error) => {
        for (const id of [...runs.keys()]) end(id, error.message);
        this.crash(name);
      },
    }).then(
      (mesh) => {
        tell = mesh;
      },
      (error: Error) => {
        log(sentence(error));
        this.crash(name);
      },
    );
  }

  sleep(node: string, ms: number): Promise<void> {
    return new Promise((resolve) => this.scheduler.after(ms, node, resolve));
  }

  async #work(history: WorkerHistory): Promise<void> {
    const { name } = history;
    const finish = (failed: boolean, reason: string) => {
      if (history.end) return;
      history.end = { failed, reason };
      this.note(`${name} ended: ${reason}`);
      // The process is gone, and with it its connections.
      this.network.crash(name);
    };
    try {
      await this.#train(history, (error) => finish(true, sentence(error)));
      finish(false, 'done');
    } catch (error) {
      if (!isExpected(error)) throw error;
      finish(true, sentence(error));
    }
  }

  async #train(history: WorkerHistory, onLost: (error: Error) => void): Promise<void> {
    const { name } = history;
    const { spec } = this;
    const layout = this.#layout;
    let isCreated: (exchange: Exchange) => void = () => undefined;
    const created = new Promise<Exchange>((resolve) => {
      isCreated = resolve;
    });
    const membership = await joinRun({
      address: this.serverNames[0],
      run: '',
      spec,
      label: name,
      peerDeadlineMs: PEER_DEADLINE_MS,
      streams: this.network.connect<MembershipStreams>(name, this.serverNames[0], membershipService as never),
      onWelcome: () => undefined,
      onHold: async () => (await created).hold(),
      onView: (view) => void created.then((exchange) => exchange.change(view)),
      onPlaced: (view) => void created.then((exchange) => exchange.place(view)),
      onLost,
    });
    const { rank, run, view } = membership;
    history.rank = rank;
    this.note(`${name} has rank ${rank}`);
    const modelBytes = 4 * layout.elementsPadded;
    const leftOutBytes = residualBytes(spec, layout);
    const kernels = loadKernels({ bytes: 2 * modelBytes + leftOutBytes + BLOCK_PAYLOAD_MAX_BYTES + 8192 });
    const arena = new Arena(kernels);
    const residuals = leftOutBytes > 0 ? arena.alloc(leftOutBytes) : undefined;
    const gradients = arena.alloc(modelBytes);
    const parameters = arena.alloc(modelBytes);
    const exchange = Exchange.create({
      run,
      rank,
      spec,
      layout,
      view,
      memory: {
        ...{ kernels, gradients, parameters, residuals },
        scratch: arena.alloc(BLOCK_PAYLOAD_MAX_BYTES + 64),
      },
      peerDeadlineMs: PEER_DEADLINE_MS,
      clock: { now: () => this.scheduler.nowMs, sleep: (ms) => this.sleep(name, ms) },
      streamsTo: (address) => this.#streamsTo(history, address),
      onView: ({ number, fromStep, departed }) => {
        membership.entered(number);
        if (departed) this.departures.set(departed.rank, fromStep);
      },
      onWaiting: () => undefined,
    });
    isCreated(exchange);
    await exchange.connect();
    history.exchange = exchange;
    const read = (skew: number) => {
      const values = layout.blocks.map((block) =>
        kernels.f32(parameters + 4 * blockOffset(layout, block), block.elements),
      );
      const bits = createHash('sha1');
      for (const array of values) bits.update(new Uint8Array(array.slice().buffer));
      history.readMs.push(this.scheduler.nowMs);
      history.reads.set(exchange.step, {
        values: values.map(([first]) => first),
        bits: bits.digest('hex'),
        skew,
      });
    };
    if (rank === 0) await exchange.initialize();
    const { skew } = await exchange.fetch(0, undefined, parameters);
    read(skew);
    const random = keyedRandom(this.options.seed, 'compute', rank);
    const beat = () => {
      membership.progress({ step: exchange.step, phase: 'compute', secondsInPhase: 0 });
      this.scheduler.after(HEARTBEAT_MS, name, beat);
    };
    beat();
    for (let step = 0; step < spec.stepsPerEpoch; step++) {
      await this.sleep(name, -MEAN_COMPUTE_MS * Math.log(1 - random.float()));
      for (const block of layout.blocks) {
        const first = gradientOf(rank, step, block.tensor);
        const all = kernels.f32(gradients + 4 * blockOffset(layout, block), block.elements);
        for (let element = 0; element < block.elements; element++) all[element] = first * shareOf(element);
      }
      history.rules.set(step, exchange.spec.consistency);
      const stepped = await exchange.pushPull({
        samples: samplesOf(rank),
        allFinite: exchange.measure(),
        lossScale: 1,
        lossSum: 0,
        correct: 0,
      });
      read(stepped.read.skew);
      const { residuals: left } = exchange;
      history.leftOut.push(layout.blocks.map(({ index }) => left.get(`${index}.residual`)?.[0] ?? 0));
    }
    exchange.close();
    await membership.done({ bytesPushed: 0, bytesPulled: 0, bytesRetried: 0, steps: exchange.step });
  }

  /** A worker's streams to a server, over which it is seen what it is told of its contributions. */
  #streamsTo(history: WorkerHistory, address: string): ParametersStreams {
    const real = this.network.connect<ParametersStreams>(history.name, address, parametersService as never);
    const isAgain = history.exchange !== undefined;
    const streams = {
      ...real,
      Push: () => {
        const call = real.Push();
        let isReady = false;
        call.on('data', ({ ack, ready }) => {
          if (isAgain && ready && !isReady) this.healedLinks++;
          isReady ||= Boolean(ready);
          // Before the first read it is initial values that are acknowledged.
          if (ack && history.reads.size > 0)
            for (const block of ack.blocks) this.copies.acknowledged(block, ack.step);
        });
        return call;
      },
      Pull: () => {
        const call = real.Pull();
        call.on('data', ({ block }) => {
          if (block && block.step > 0) this.copies.acknowledged(block.block, block.step - 1);
        });
        return call;
      },
    } as ParametersStreams;
    return (isAgain && this.options.bug?.again?.(streams, history)) || streams;
  }
}
