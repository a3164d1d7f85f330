// The keeper's pure core: which servers form the mesh, which workers form a run, the run's view and its life.
// Events in, orders out; no I/O, no clock. gathering → preparing → running → ended. A participant is named
// by the number of its connection; when its connection goes, it is gone, and whoever it leaves waiting is told.
import { place } from '../shared/blocks/placement.js';
import {
  NAME_CHARACTERS_MAX,
  REPLICAS_DEFAULT,
  RUNS_MAX,
  SERVERS_MAX,
  SHARD_MEMORY_MAX_BYTES,
} from '../shared/limits.js';
import { placeRows } from '../shared/rows/partitions.js';
import type { ChangeReply } from '../shared/rpc/generated/gradloom/v1/ChangeReply.js';
import type { DrainReply } from '../shared/rpc/generated/gradloom/v1/DrainReply.js';
import type { ServerOrder } from '../shared/rpc/generated/gradloom/v1/ServerOrder.js';
import type { View } from '../shared/rpc/generated/gradloom/v1/View.js';
import type { WorkerOrder } from '../shared/rpc/generated/gradloom/v1/WorkerOrder.js';
import { PROTOCOL_VERSION } from '../shared/rpc/proto.js';
import { type Refused, refuse } from '../shared/rpc/refusal.js';
import {
  layoutOf,
  type RunSpec,
  replicasOf,
  replicationFault,
  rulesToWire,
  specDifference,
  specUnder,
  specWithRules,
  stalenessOf,
  toWire,
} from '../shared/run-spec.js';
import type { ShardCopies } from '../shared/view.js';
import { Drains } from './drains.js';
import { memoryRefusal, shareBytes } from './memory-budget.js';
import { alone, dropped, filled, holdersOf, replicated, without } from './replication/placement.js';
import { rowsBytes, rowsRefusal } from './rows/rows-budget.js';
import type { ServerWait } from './server-waits.js';
import { blockBytes, shardBytes } from './shard-memory.js';
import { type Fenced, type Leaving, ViewChange } from './view-change.js';

export interface ServerEntry {
  readonly connection: number;
  readonly id: number;
  readonly address: string;
  readonly label: string;
  readonly memoryBytes: number;
  /** It is a worker, too, and goes with it. */
  readonly peer: boolean;
}

export interface WorkerEntry {
  readonly connection: number;
  readonly rank: number;
  readonly label: string;
  step: number;
  phase: string;
  secondsInPhase: number;
  done: boolean;
  bytesPushed: number;
  bytesPulled: number;
  bytesRetried: number;
  /** Number of the view under which it works. */
  view: number;
  /** By which the next keeper knows it again; empty where there will be none. */
  readonly token: string;
  /** It was leaving when the keeper changed: it does not come back. */
  leaving?: { readonly reason: string; readonly putOut: boolean };
}

interface EvaluationPart {
  records: number;
  lossSum: number;
  correct: number;
}

export interface WholeEvaluation {
  step: number;
  records: number;
  loss: number;
  accuracy: number;
}

export interface RunEnd {
  run: string;
  failed: boolean;
  reason: string;
  bytesPushed: number;
  bytesPulled: number;
}

export interface Run {
  readonly id: string;
  /** Under the last view that was decided. */
  spec: RunSpec;
  state: 'gathering' | 'preparing' | 'running';
  readonly workers: WorkerEntry[];
  servers: ServerEntry[];
  /** Copies of each shard that are wanted, where there are as many servers and the rules allow it. */
  wanted: number;
  view?: Omit<View, 'shards'> & { number: number; fromStep: number; term: number; shards: ShardCopies[] };
  /** Whose leaving the last view was made for, if it was. */
  lastLeaving?: Leaving;
  /** The next view, on its way. */
  change?: ViewChange;
  /** Number of the last view that was proposed: an answer to one that was cancelled is none to the next. */
  proposed?: number;
  readonly prepared: Set<number>;
  /** Servers that wait for others, by their connections. */
  readonly serverWaits: Map<number, ServerWait>;
  /** Shares of the evaluation under way, by rank. */
  readonly evaluation: Map<number, EvaluationPart>;
  evaluationStep: number;
  /** The last that was whole; after another keeper, as the workers were told it. */
  evaluated?: WholeEvaluation;
  /** Whose leaving has to be decided once more when all are back after a change of keeper. */
  afresh?: Leaving;
  /** A view that the keeper before had decided and not carried through. */
  decided?: View;
}

export type Order =
  | { to: 'server'; connection: number; order: ServerOrder }
  | { to: 'worker'; connection: number; order: WorkerOrder }
  /** Answers a call of `Change` or `Drain`. */
  | { to: 'caller'; connection: number; order: ChangeReply | DrainReply };

/** What no name has that goes into logs and metrics. */
const CONTROL_CHARACTER = /\p{Cc}/u;

export class Coordinator {
  readonly servers = new Map<number, ServerEntry>();
  readonly runs = new Map<string, Run>();
  readonly #runOfWorker = new Map<number, Run>();
  /** Id of the server whose process this is, where the mesh ends with it. */
  keeper: number | undefined;
  readonly #drains = new Drains();
  #nextServer = 0;
  #nextRun = 1;
  /** How the last runs ended, for those who missed it. */
  readonly #ended = new Map<string, RunEnd>();
  /** Whether those who were here under the keeper before are still coming back. Who is not here has a connection below 0. */
  #recovering = false;
  #absent = 0;

  /** @param newRunId makes the id of a run that no worker named, from its job and number */
  constructor(
    readonly newRunId: (job: string, number: number) => string = (job, number) => `${job}-${number}`,
  ) {}

  serverJoined(
    connection: number,
    hello: { protocolVersion: number; address: string; memoryBytes: number; label: string; peer?: boolean },
  ): Order[] {
    checkProtocol(hello.protocolVersion);
    const before = [...this.servers.values()].find(({ address }) => address === hello.address);
    // Another process is there now, so the one that was is gone.
    if (before && before.connection < 0)
      return [
        ...this.#serverGone(before.connection, 'it was started again'),
        ...this.serverJoined(connection, hello),
        ...this.#recovered(),
      ];
    if (this.servers.size >= SERVERS_MAX)
      throw refuse('FULL', `expected at most ${SERVERS_MAX} servers in the mesh, got one more`);
    for (const other of this.servers.values())
      if (other.address === hello.address)
        throw refuse(
          'RUN_SPEC',
          `a server at ${hello.address} is in the mesh already (${other.label}); give each its own --listen or --advertise`,
        );
    const entry: ServerEntry = {
      connection,
      id: this.#nextServer++,
      address: hello.address,
      label: hello.label,
      memoryBytes: hello.memoryBytes,
      peer: hello.peer ?? false,
    };
    this.servers.set(connection, entry);
    const orders: Order[] = [{ to: 'server', connection, order: { welcome: { id: entry.id } } }];
    for (const run of this.runs.values())
      if (run.state === 'gathering') orders.push(...this.#gathered(run));
      else if (run.state === 'running') orders.push(...this.#fill(run));
    return orders;
  }

  serverLeft(connection: number, reason: string): Order[] {
    const entry = this.servers.get(connection);
    if (!entry) return [];
    if (this.#recovering) {
      this.#bindServer(entry, --this.#absent);
      return [];
    }
    return this.#serverGone(connection, reason);
  }

  #serverGone(connection: number, reason: string): Order[] {
    const entry = this.servers.get(connection);
    if (!entry) return [];
    this.servers.delete(connection);
    const gone = refuse('NOT_NOW', `server ${entry.id} is gone: ${reason}`).toMessage();
    const orders: Order[] = this.#drains
      .end(entry.id)
      .map((call) => ({ to: 'caller', connection: call, order: { refusal: gone } }));
    for (const run of [...this.runs.values()])
      if (run.state === 'gathering') orders.push(...this.#gathered(run));
      else if (run.servers.includes(entry)) orders.push(...this.#failOver(run, entry, reason));
    return orders;
  }

  /** A server of a run is gone: its backups take over in the middle of the step, and lost copies are made again. */
  #failOver(run: Run, { connection, id, address, label }: ServerEntry, reason: string): Order[] {
    const { view } = run;
    const { shards, lost } = without(view?.shards ?? [], id);
    if (!view || run.state === 'preparing' || lost.length > 0)
      return this.#end(
        run,
        true,
        `server ${id} (${address}, ${label}) is gone at step ${stepOf(run)}: ${reason}; ${run.state === 'preparing' ? 'the run had not begun' : `shard ${lost.join(', ')} had no other copy`}, so the run cannot go on${run.spec.snapshots ? '; --resume takes it up from its last snapshot' : ''}`,
      );
    run.servers = run.servers.filter((server) => server.connection !== connection);
    run.view = { ...view, servers: view.servers?.filter((server) => server.id !== id) };
    const orders = this.#placed(run, shards);
    orders.push(...this.#emptied());
    const { change } = run;
    const left = change?.leaving ?? (run.decided?.departed ? run.lastLeaving : this.#leftBefore(run));
    if (left && this.#recovering) {
      // As soon as all are back.
      run.proposed = Math.max(run.proposed ?? 0, run.decided?.number ?? 0);
      run.decided = undefined;
      run.afresh = left;
      return orders;
    }
    if (left) return [...orders, ...this.#afresh(run, left)];
    if (!change) return orders;
    // Whoever takes over is told of the change by its own server, which has it or gets it.
    if (!change.view && !change.leaving)
      return [...orders, ...this.#cancel(run, change, `server ${id} is gone; try again`)];
    return change.gone(connection) ? [...orders, ...this.#allTaken(run, change)] : orders;
  }

  /** Whose leaving some workers have still to get over. */
  #leftBefore({ view, workers, lastLeaving }: Run): Leaving | undefined {
    return workers.some((worker) => worker.view < (view?.number ?? 0)) ? lastLeaving : undefined;
  }

  /**
   * A server dies while the others get over a worker that has left: its shards may lack what that worker had sent, which
   * nobody can send again. So where to go on is decided once more, from what is there now.
   */
  #afresh(run: Run, leaving: Leaving): Order[] {
    const view = run.view as NonNullable<Run['view']>;
    const number = nextNumber(run);
    run.change = new ViewChange(
      { ...view, number, workers: run.workers.map(({ rank, label }) => ({ rank, label })) },
      0,
      run.workers.map(({ connection }) => connection),
      run.servers.map(({ connection }) => connection),
      leaving,
    );
    return toWorkers(run, { hold: { number } });
  }

  /** The keeper has decided who holds the shards of a run: tells all, and has copies made where there are too few. */
  #placed(run: Run, shards: readonly ShardCopies[]): Order[] {
    const view = { ...(run.view as NonNullable<Run['view']>) };
    const wanted = isBetweenViews(run) ? 1 : this.#replicas(run);
    const needed = wanted > 1 || run.servers.some(({ id }) => this.#drains.has(id));
    // A server that has come since may hold copies, too.
    for (const server of this.servers.values())
      if (needed && !run.servers.includes(server) && !this.#drains.has(server.id)) {
        run.servers.push(server);
        view.servers = [...(view.servers ?? []), infoOf(server)];
      }
    const entries = new Map(run.servers.map((server) => [server.id, server]));
    run.view = view;
    const fits = (id: number, shard: number) =>
      this.#freeBytes(entries.get(id) as ServerEntry) >= shardBytesOf(run, shard);
    view.shards = filled(shards, [...entries.keys()], wanted, fits, this.#drains.servers);
    view.term++;
    const told = run.state === 'running' ? toWorkers(run, { placed: view }) : [];
    return [...run.servers.map(({ connection }) => this.#place(run, connection)), ...told];
  }

  #place({ id, spec, view }: Run, connection: number): Order {
    return { to: 'server', connection, order: { place: { run: id, spec: toWire(spec), view } } };
  }

  /** Has copies made where a run has too few. */
  #fill(run: Run): Order[] {
    const { view } = run;
    const wanted = this.#replicas(run);
    const isShort = view?.shards.some((copies) => holdersOf(copies).length < wanted);
    return view && isShort && !isBetweenViews(run) ? this.#placed(run, view.shards) : [];
  }

  /** How many servers are to hold each shard of a run. */
  #replicas({ spec, servers, wanted }: Run): number {
    const count = [...this.servers.values()].filter(({ id }) => !this.#drains.has(id)).length;
    const peers = servers.some(({ peer }) => peer);
    return replicasOf({ ...spec, replicas: wanted }, count, peers);
  }

  /** A server has become a copy of a shard; when all are there, a run that waits for them starts. */
  shardReplicated(
    connection: number,
    runId: string,
    { shard, server }: { shard: number; server: number },
  ): Order[] {
    const run = this.runs.get(runId);
    const isPrimary = run?.servers.some(
      (entry) => entry.connection === connection && entry.id === run.view?.shards[shard]?.primary,
    );
    const shards = run?.view && isPrimary ? replicated(run.view.shards, shard, server) : undefined;
    if (!run || !shards) return [];
    const orders = this.#placed(run, shards);
    const waits = shards.some(({ joining }) => joining.length > 0);
    if (run.state === 'preparing') return waits ? orders : [...orders, ...this.#start(run)];
    return [...orders, ...this.#emptied()];
  }

  /** A server is to hold nothing any more: others get copies of its shards, and take them over. Throws Refused. */
  drain(server: number, call?: number): Order[] {
    const entry = [...this.servers.values()].find(({ id }) => id === server);
    const others = [...this.servers.values()].filter(({ id }) => id !== server && !this.#drains.has(id));
    if (entry && server === this.keeper)
      throw refuse(
        'NOT_NOW',
        `server ${server} keeps the mesh, which ends with it; drain another, or stop the mesh`,
      );
    if (!entry)
      throw refuse(
        'NOT_NOW',
        `expected the number of a server of the mesh, got ${server}; there are ${[...this.servers.values()].map(({ id }) => id).join(', ')}`,
      );
    if (others.length === 0)
      throw refuse(
        'NOT_NOW',
        `expected another server that takes over from server ${server}, got none; start one`,
      );
    const held = [...this.runs.values()].filter(({ servers }) => servers.includes(entry));
    for (const run of held) {
      const rigid = replicationFault(
        run.spec,
        run.servers.some(({ peer }) => peer),
      );
      if (run.state !== 'running' || rigid)
        throw refuse(
          'NOT_NOW',
          `run '${run.id}' cannot go on without server ${server}: ${rigid ?? 'it has not begun; try again then'}`,
        );
    }
    this.#drains.begin(server, call);
    return [...held.flatMap((run) => this.#placed(run, run.view?.shards ?? [])), ...this.#emptied()];
  }

  /** Servers that leave let go of what others hold by now; who holds nothing is told, as are those who wait for it. */
  #emptied(): Order[] {
    return [...this.servers.values()].flatMap((entry): Order[] => {
      const { id, connection } = entry;
      if (!this.#drains.has(id)) return [];
      const orders: Order[] = [];
      for (const run of this.runs.values()) {
        // A change of view on its way waits for the answers of those who held shards when it began.
        if (!run.view || run.change || !run.servers.includes(entry)) continue;
        if (!this.#drains.mayLeave(id, run.view.shards)) continue;
        const { shards } = without(run.view.shards, id);
        run.servers = run.servers.filter((server) => server !== entry);
        run.view = { ...run.view, servers: run.view.servers?.filter((server) => server.id !== id) };
        const placed = this.#placed(run, shards);
        // It hears of it as the others do, and lets go.
        const place = { run: run.id, spec: toWire(run.spec), view: run.view };
        orders.push(...placed, { to: 'server', connection, order: { place } });
      }
      if ([...this.runs.values()].some(({ servers }) => servers.includes(entry))) return orders;
      for (const call of this.#drains.end(id)) orders.push({ to: 'caller', connection: call, order: {} });
      return [...orders, { to: 'server', connection, order: { drained: {} } }];
    });
  }

  /** The primary of a shard cannot reach a backup, which may live: the run goes on without it. */
  backupLost(
    connection: number,
    runId: string,
    { shard, server }: { shard: number; server: number },
  ): Order[] {
    const run = this.runs.get(runId);
    const entry = run?.servers.find((each) => each.connection === connection);
    const copies = run?.view?.shards[shard];
    if (!run?.view || !copies || entry?.id !== copies.primary) return [];
    if (!copies.backups.includes(server) && !copies.joining.includes(server)) return [];
    return this.#placed(run, dropped(run.view.shards, shard, server));
  }

  serverPrepared(connection: number, runId: string): Order[] {
    const run = this.runs.get(runId);
    if (run?.state !== 'preparing' || !run.servers.some((server) => server.connection === connection))
      return [];
    run.prepared.add(connection);
    if (run.prepared.size < run.servers.length) return [];
    if (this.#replicas(run) === 1) return this.#start(run);
    const orders = this.#placed(run, run.view?.shards ?? []);
    const isCopied = run.view?.shards.some(({ joining }) => joining.length > 0);
    return isCopied ? orders : [...orders, ...this.#start(run)];
  }

  #start(run: Run): Order[] {
    run.state = 'running';
    return run.workers.map((worker) => ({
      to: 'worker',
      connection: worker.connection,
      order: { start: { view: run.view } },
    }));
  }

  serverRefused(connection: number, runId: string, sentence: string): Order[] {
    const run = this.runs.get(runId);
    const server = run?.servers.find((entry) => entry.connection === connection);
    return run && server
      ? this.#end(
          run,
          true,
          `server ${server.id} (${server.address}) could not ${run.state === 'preparing' ? 'prepare its shard' : 'change its view'}: ${sentence}`,
        )
      : [];
  }

  /** A worker joins the run that it names, or one of the same job that waits, or opens a new one. Throws Refused. */
  workerJoined(
    connection: number,
    hello: { protocolVersion: number; run: string; label: string; token?: string },
    spec: RunSpec,
  ): Order[] {
    checkProtocol(hello.protocolVersion);
    if (hello.run && (hello.run.length > NAME_CHARACTERS_MAX || CONTROL_CHARACTER.test(hello.run)))
      throw refuse(
        'MALFORMED',
        `expected a run name of at most ${NAME_CHARACTERS_MAX} characters without control characters, got ${JSON.stringify(hello.run.slice(0, 80))}`,
      );
    let run = hello.run
      ? this.runs.get(hello.run)
      : [...this.runs.values()].find((other) => takesWorkers(other) && other.spec.job === spec.job);
    if (run && !takesWorkers(run))
      throw refuse(
        'FULL',
        `run '${run.id}' has its ${run.spec.workers} workers already; name another with --run, or wait for its end`,
      );
    if (run) {
      const difference = specDifference(run.spec, spec);
      if (difference) throw difference;
    } else {
      if (this.runs.size >= RUNS_MAX)
        throw refuse(
          'FULL',
          `expected at most ${RUNS_MAX} runs at a time, got one more; wait for one to end`,
        );
      this.#checkMemory(spec);
      const id = hello.run || this.newRunId(spec.job, this.#nextRun++);
      run = {
        id,
        spec,
        state: 'gathering',
        workers: [],
        servers: [],
        wanted: 1,
        prepared: new Set(),
        serverWaits: new Map(),
        evaluation: new Map(),
        evaluationStep: -1,
      };
      this.runs.set(id, run);
    }
    run.workers.push({
      connection,
      rank: run.workers.length,
      label: hello.label,
      step: 0,
      phase: 'join',
      secondsInPhase: 0,
      done: false,
      bytesPushed: 0,
      bytesPulled: 0,
      bytesRetried: 0,
      view: 1,
      token: hello.token ?? '',
    });
    this.#runOfWorker.set(connection, run);
    return this.#gathered(run);
  }

  workerLeft(connection: number, reason: string): Order[] {
    const run = this.#runOfWorker.get(connection);
    this.#runOfWorker.delete(connection);
    const worker = run?.workers.find((entry) => entry.connection === connection);
    if (!run || !worker || !this.runs.has(run.id)) return [];
    if (this.#recovering && run.state === 'running') {
      this.#bindWorker(run, worker, --this.#absent);
      return [];
    }
    if (run.state === 'gathering') {
      run.workers.splice(run.workers.indexOf(worker), 1);
      for (const [rank, entry] of run.workers.entries()) (entry as { rank: number }).rank = rank;
      if (run.workers.length === 0) this.runs.delete(run.id);
      return this.#gathered(run);
    }
    if (worker.done) return this.#endIfDone(run);
    return this.#depart(run, worker, reason);
  }

  workerProgress(
    connection: number,
    progress: { step: number; phase: string; secondsInPhase: number },
  ): Run | undefined {
    const run = this.#runOfWorker.get(connection);
    const worker = run?.workers.find((entry) => entry.connection === connection);
    if (worker)
      Object.assign(worker, {
        step: progress.step,
        phase: progress.phase,
        secondsInPhase: progress.secondsInPhase,
      });
    return run;
  }

  /** One worker's share of an evaluation; when all are there, everyone gets the whole, added in rank order. */
  evaluationPart(
    connection: number,
    step: number,
    { view = 1, again = false, ...part }: EvaluationPart & { view?: number; again?: boolean },
  ): Order[] {
    const run = this.#runOfWorker.get(connection);
    const worker = run?.workers.find((entry) => entry.connection === connection);
    if (run?.state !== 'running' || !worker)
      throw refuse('NOT_NOW', 'expected an evaluation from a worker of a running run');
    if (again && run.evaluated?.step === step)
      return [{ to: 'worker', connection, order: { evaluation: run.evaluated } }];
    // Before the step of the view nobody can go by it; whoever has left had his share in a whole that nobody knows any more.
    if (view < (run.view?.number ?? 0) && run.view?.departed && step >= run.view.fromStep) {
      const anew = { step, records: 0, loss: 0, accuracy: 0 };
      return [{ to: 'worker', connection, order: { evaluation: anew } }];
    }
    if (run.evaluation.size > 0 && run.evaluationStep !== step)
      throw refuse(
        'STEP',
        `worker ${worker.rank}: expected its share of the evaluation at step ${run.evaluationStep}, got step ${step}`,
      );
    const shares = new Map(run.evaluation).set(worker.rank, part);
    if (shares.size === run.workers.length && [...shares.values()].every(({ records }) => records === 0))
      throw refuse('MALFORMED', 'expected an evaluation over at least one record, got none from any worker');
    run.evaluationStep = step;
    run.evaluation.set(worker.rank, part);
    return this.#evaluated(run);
  }

  /** The whole, when all shares are there. While somebody leaves, nobody is asked for his share of it yet. */
  #evaluated(run: Run): Order[] {
    const { evaluation: shares, evaluationStep: step } = run;
    if (run.change?.leaving || run.workers.some(({ rank }) => !shares.has(rank))) return [];
    const parts = run.workers.map(({ rank }) => shares.get(rank) as EvaluationPart);
    const sum = (of: (share: EvaluationPart) => number) =>
      parts.reduce((total, share) => total + of(share), 0);
    const records = sum((share) => share.records);
    const evaluation = {
      step,
      records,
      loss: sum((share) => share.lossSum) / records,
      accuracy: sum((share) => share.correct) / records,
    };
    run.evaluation.clear();
    run.evaluationStep = -1;
    run.evaluated = evaluation;
    return toWorkers(run, { evaluation });
  }

  /** Tells who has given its share of an evaluation whose are missing. */
  evaluationWaits(): Order[] {
    return [...this.runs.values()].flatMap((run) => {
      if (run.evaluation.size === 0) return [];
      const missing = run.workers.flatMap(({ rank }) => (run.evaluation.has(rank) ? [] : [rank]));
      const order = { evaluationWait: { step: run.evaluationStep, workers: missing } };
      return run.workers
        .filter(({ rank }) => run.evaluation.has(rank))
        .map(({ connection }): Order => ({ to: 'worker', connection, order }));
    });
  }

  /** A worker takes no more steps; the run ends when all are done. Until then the others are told. */
  workerDone(
    connection: number,
    { steps, ...bytes }: { bytesPushed: number; bytesPulled: number; bytesRetried?: number; steps: number },
  ): Order[] {
    const run = this.#runOfWorker.get(connection);
    const worker = run?.workers.find((entry) => entry.connection === connection);
    if (!run || !worker) return [];
    worker.done = true;
    worker.bytesPushed = bytes.bytesPushed;
    worker.bytesPulled = bytes.bytesPulled;
    worker.bytesRetried = bytes.bytesRetried ?? 0;
    const cancelled =
      run.change && !run.change.view && !run.change.leaving
        ? this.#cancel(run, run.change, `worker ${worker.rank} is done, so the run ends`)
        : [];
    const told = run.workers.flatMap(({ connection, done }): Order[] =>
      done ? [] : [{ to: 'worker', connection, order: { done: { rank: worker.rank, steps } } }],
    );
    return [...cancelled, ...told, ...this.#endIfDone(run)];
  }

  /** The running run of an id; of an empty one, the only run that is running. */
  running(id: string): Run & { view: NonNullable<Run['view']> } {
    const running = [...this.runs.values()].filter(({ state }) => state === 'running');
    const found = id ? running.find((run) => run.id === id) : running.length === 1 ? running[0] : undefined;
    if (found?.view) return found as Run & { view: NonNullable<Run['view']> };
    throw refuse(
      'UNKNOWN_RUN',
      `expected the id of a running run, got '${id.slice(0, 80)}'; running: ${running.length > 0 ? running.map((run) => `'${run.id}'`).join(', ') : 'none'}`,
    );
  }

  /** Begins a change of a run's consistency; the call is answered when it is decided from which step. Throws Refused. */
  changeRequested(call: number, request: { run: string; consistency: number; staleness: number }): Order[] {
    const run = this.running(request.run);
    const spec = specWithRules(run.spec, request);
    if (this.#recovering)
      throw refuse(
        'NOT_NOW',
        `expected a mesh that is whole, got one whose keeper has just changed: the run ${this.waiting(run)}; try again then`,
      );
    const { number } = run.view;
    const late = run.workers.find(({ view }) => view < number);
    if (run.change || late)
      throw refuse(
        'NOT_NOW',
        `expected one change at a time, got another ${run.change ? `while view ${run.change.proposed.number} is on its way` : `before worker ${late?.rank} has reached step ${run.view.fromStep}, from which view ${number} holds`}; try again then`,
      );
    if (run.workers.some(({ done }) => done))
      throw refuse('NOT_NOW', 'expected a run that goes on, this one ends');
    const next = nextNumber(run);
    run.change = new ViewChange(
      { ...run.view, number: next, ...rulesToWire(spec) },
      call,
      run.workers.map(({ connection }) => connection),
      run.servers.map(({ connection }) => connection),
    );
    return toWorkers(run, { hold: { number: next } });
  }

  /** A worker goes no further than to the step that is next for it. Throws Refused. */
  workerHeld(connection: number, { number, step }: { number: number; step: number }): Order[] {
    const run = this.#runOfWorker.get(connection);
    if (!run?.change?.held(connection, number, step)) return [];
    const { leaving, view } = run.change;
    if (leaving || !view) return toServers(run, { fence: { run: run.id, number, rank: leaving?.rank } });
    const steps = run.spec.epochs * run.spec.stepsPerEpoch;
    if (steps > 0 && Number(view.fromStep) >= steps)
      return this.#cancel(run, run.change, `the run has only ${steps} steps, which are all under way`);
    return toServers(run, { change: { run: run.id, view } });
  }

  /** A server takes nothing more of the worker that has left; when all do, it is decided where to go on. */
  serverFenced(
    connection: number,
    runId: string,
    { number, initialized, ...fenced }: Fenced & { number: number; initialized: boolean },
  ): Order[] {
    const run = this.runs.get(runId);
    const { leaving } = run?.change ?? {};
    if (run && leaving?.rank === 0 && !initialized)
      return this.#end(
        run,
        true,
        `worker 0 (${leaving.label}) is gone before it had given the initial values: ${leaving.reason}`,
      );
    if (!run?.change?.fenced(connection, number, fenced)) return [];
    return toServers(run, { change: { run: run.id, view: run.change.view } });
  }

  /** A server says that a worker spoils the steps of all: it is put out. The first server that says so is heard. */
  workerOffends(
    connection: number,
    runId: string,
    { rank, sentence }: { rank: number; sentence: string },
  ): Order[] {
    const run = this.runs.get(runId);
    const worker = run?.workers.find((entry) => entry.rank === rank);
    if (!run || !worker || !run.servers.some((server) => server.connection === connection)) return [];
    const reason = `it was put out: ${sentence}`;
    if (this.#recovering) {
      worker.leaving = { reason, putOut: true };
      return this.#recovered();
    }
    const ended = {
      failed: true,
      reason: `worker ${rank} was put out: ${sentence}; look at its data and its host`,
    };
    const orders = this.#depart(run, worker, reason, true);
    // Where the run cannot go on without it, all have been told.
    if (!this.runs.has(runId)) return orders;
    this.#runOfWorker.delete(worker.connection);
    return [{ to: 'worker', connection: worker.connection, order: { ended } }, ...orders];
  }

  /** A worker has left a running run: with `elastic` the others go on without it, else the run ends. */
  #depart(run: Run, worker: WorkerEntry, reason: string, putOut = false): Order[] {
    const { rank, label } = worker;
    const gone = `worker ${rank} (${label}) is gone at step ${stepOf(run)}: ${reason}`;
    const { number } = run.view as { number: number };
    const others = run.workers.filter((entry) => entry !== worker);
    if (!run.spec.elastic || others.length === 0 || run.state !== 'running')
      return this.#end(run, true, gone);
    const late = run.workers.find(({ view }) => view < number);
    if (run.change || late)
      return this.#end(run, true, `${gone}; the run has not yet got over the leaving of another worker`);
    run.workers.splice(0, run.workers.length, ...others);
    // Nobody is left who could go on: all that is to be trained is.
    if (others.every(({ done }) => done)) return this.#end(run, false, 'done');
    const next = nextNumber(run);
    const view = {
      ...run.view,
      number: next,
      workers: others.map((each) => ({ rank: each.rank, label: each.label })),
    };
    run.change = new ViewChange(
      view,
      0,
      others.map(({ connection }) => connection),
      run.servers.map(({ connection }) => connection),
      { rank, label, reason, putOut },
    );
    return toWorkers(run, { hold: { number: next } });
  }

  /** A server will change; when all will, the workers are told. */
  serverTaken(connection: number, runId: string, number: number): Order[] {
    const run = this.runs.get(runId);
    const { change } = run ?? {};
    return run && change?.view && change.taken(connection, number) ? this.#allTaken(run, change) : [];
  }

  #allTaken(run: Run, change: ViewChange): Order[] {
    // Who holds the shards may have changed meanwhile.
    const { servers, shards = [], term } = run.view as NonNullable<Run['view']>;
    run.view = { ...change.view, servers, shards, term } as Run['view'];
    run.spec = specUnder(run.spec, change.view as { consistency: number });
    run.change = undefined;
    run.lastLeaving = change.leaving;
    const orders = this.#recopied(run);
    orders.push(...toWorkers(run, { view: run.view }), ...this.#emptied());
    if (!change.leaving) {
      const answer = { run: run.id, view: run.view };
      return [...orders, { to: 'caller', connection: change.call, order: answer }];
    }
    // Shares of an evaluation were of the workers that were.
    if (run.evaluation.size === 0) return orders;
    if (run.evaluationStep < (run.view?.fromStep ?? 0)) return [...orders, ...this.#evaluated(run)];
    const again = { step: run.evaluationStep, records: 0, loss: 0, accuracy: 0 };
    const asked = run.workers.filter(({ rank }) => run.evaluation.has(rank));
    run.evaluation.clear();
    return [
      ...orders,
      ...asked.map(({ connection }): Order => ({ to: 'worker', connection, order: { evaluation: again } })),
    ];
  }

  /** A server says which others its open step waits for; none: it does no more. */
  serverProgress(connection: number, id: string, wait: ServerWait): void {
    const run = this.runs.get(id);
    if (!run?.servers.some((server) => server.connection === connection)) return;
    if (wait.servers.length + wait.copies.length === 0) run.serverWaits.delete(connection);
    else run.serverWaits.set(connection, wait);
  }

  /** Under other rules a run may have copies of its shards, or none: the change is decided here, before it holds. */
  #recopied(run: Run): Order[] {
    const shards = run.view?.shards ?? [];
    // Fewer may be wanted, or to be had, for other reasons: these copies stay.
    if (replicationFault(run.spec) && shards.some((copies) => holdersOf(copies).length > 1))
      return this.#placed(
        run,
        shards.map(({ primary }) => ({ primary, backups: [], joining: [] })),
      );
    return this.#fill(run);
  }

  /** A worker goes on under a view. When all do, copies are made that had to wait for its rules. */
  workerEntered(connection: number, number: number): Order[] {
    const run = this.#runOfWorker.get(connection);
    const worker = run?.workers.find((entry) => entry.connection === connection);
    if (!run || !worker || number > (run.view?.number ?? 0)) return [];
    worker.view = number;
    return this.#fill(run);
  }

  /** Lets go whoever is held; everything stays as it is. */
  #cancel(run: Run, change: ViewChange, why: string): Order[] {
    run.change = undefined;
    const refusal = refuse('NOT_NOW', `nothing was changed: ${why}`).toMessage();
    return [
      ...toWorkers(run, { view: run.view }),
      { to: 'caller', connection: change.call, order: { run: run.id, refusal } },
      ...this.#emptied(),
    ];
  }

  /** Ends everything, as the keeper does when it is stopped. */
  shutDown(reason: string): Order[] {
    return [...this.runs.values()].flatMap((run) => this.#end(run, true, reason));
  }

  /** A server stops in good order. */
  serverStopped(id: number, reason: string): Order[] {
    const entry = [...this.servers.values()].find((server) => server.id === id);
    return entry ? this.#serverGone(entry.connection, reason) : [];
  }

  // A keeper that follows another (server/coordinator-state.ts, server/coordination/).

  /** What a keeper that follows needs. Runs that gather or prepare are left out: their workers join anew. */
  get lasting(): Lasting {
    return {
      nextServer: this.#nextServer,
      nextRun: this.#nextRun,
      servers: [...this.servers.values()],
      runs: [...this.runs.values()].filter(({ state }) => state === 'running'),
      ended: [...this.#ended.values()],
      draining: [...this.#drains.servers],
    };
  }

  /** Whether somebody who was here under the keeper before is still waited for. */
  get isRecovering(): boolean {
    return this.#recovering;
  }

  get absentServers(): ServerEntry[] {
    return [...this.servers.values()].filter(isAbsent);
  }

  /** Takes over what the keeper before has left, once, before anybody joins. Nobody is here yet: all are waited for. */
  takeOver({ nextServer, nextRun, servers, runs, ended, draining }: Lasting): Order[] {
    this.#nextServer = nextServer;
    this.#nextRun = nextRun;
    this.#recovering = true;
    for (const entry of servers) this.#bindServer(entry, --this.#absent);
    for (const run of runs) {
      this.runs.set(run.id, run);
      for (const worker of run.workers) this.#bindWorker(run, worker, --this.#absent);
    }
    for (const end of ended) this.#ended.set(end.run, end);
    for (const id of draining) this.#drains.begin(id);
    return this.#recovered();
  }

  /** A server comes back to a keeper that follows another. Throws Refused where it has been given up. */
  serverBack(
    connection: number,
    hello: { protocolVersion: number; address: string },
    { id, runs }: { id: number; runs: readonly string[] },
  ): Order[] {
    checkProtocol(hello.protocolVersion);
    const entry = [...this.servers.values()].find((server) => server.id === id);
    if (!this.#recovering || entry?.address !== hello.address)
      throw refuse(
        'STALE_VIEW',
        `expected server ${id} (${hello.address}) while the mesh waits for it, got it afterwards: the mesh goes on without it; start it again`,
      );
    this.#bindServer(entry, connection);
    const orders: Order[] = [{ to: 'server', connection, order: { welcome: { id } } }];
    for (const run of runs)
      if (!this.runs.get(run)?.servers.includes(entry)) {
        const reason = this.#ended.get(run)?.reason ?? 'the keeper has changed before it began';
        orders.push({ to: 'server', connection, order: { end: { run, reason } } });
      }
    for (const run of [...this.runs.values()]) {
      if (run.state !== 'running' || !run.servers.includes(entry)) continue;
      const isHolder = run.view?.shards.some(({ primary, backups }) => [primary, ...backups].includes(id));
      if (isHolder && !runs.includes(run.id))
        orders.push(...this.#failOver(run, entry, 'it has no shard of it any more'));
      // What it may have missed of who holds what.
      else orders.push(this.#place(run, connection));
    }
    return [...orders, ...this.#recovered()];
  }

  /**
   * A worker comes back to a keeper that follows another. Undefined: the run had not started for it, and nobody knows
   * it, so it joins as a new one.
   */
  workerBack(
    connection: number,
    hello: { protocolVersion: number; token: string },
    back?: { run: string; view: number; term?: number; evaluated?: WholeEvaluation | null },
  ): Order[] | undefined {
    checkProtocol(hello.protocolVersion);
    const to = 'worker';
    const run = [...this.runs.values()].find(
      (each) => each.state === 'running' && each.workers.some(({ token }) => token === hello.token),
    );
    const worker = run?.workers.find(({ token }) => token === hello.token);
    if (!run || !worker || worker.leaving || !(this.#recovering || isAbsent(worker))) {
      if (!back) return undefined;
      const reason =
        'the keeper has changed and this worker has not come back in time; the run goes on without it';
      const ended = this.#ended.get(back.run) ?? { failed: true, reason };
      return [{ to, connection, order: { ended } }];
    }
    this.#bindWorker(run, worker, connection);
    if (back) worker.view = back.view;
    const welcome = {
      ...{ run: run.id, rank: worker.rank, workersJoined: run.workers.length },
      ...{ workersExpected: run.spec.workers, servers: this.servers.size },
    };
    const orders: Order[] = [{ to, connection, order: { welcome } }];
    if (!back) orders.push({ to, connection, order: { start: { view: run.view } } });
    else if (back.view < (run.view?.number ?? 0) || (back.term ?? 0) < (run.view?.term ?? 0))
      orders.push({ to, connection, order: { view: run.view } });
    if (back?.evaluated && back.evaluated.step >= (run.evaluated?.step ?? 0)) {
      run.evaluated = back.evaluated;
      orders.push(...this.#toldBefore(run, back.evaluated));
    }
    return [...orders, ...this.#recovered()];
  }

  /** It is certain that a server does not come back. */
  absentServerGone(id: number, reason: string): Order[] {
    const entry = [...this.servers.values()].find((server) => server.id === id);
    if (!entry || !isAbsent(entry)) return [];
    return [...this.#serverGone(entry.connection, reason), ...this.#recovered()];
  }

  /** Whoever has not come back by now is gone. */
  giveUp(reason: string): Order[] {
    const orders: Order[] = [];
    if (!this.#recovering) return orders;
    const workers = [...this.runs.values()].flatMap((run) => run.workers.filter(isAbsent));
    const servers = this.absentServers;
    orders.push(...this.#resume());
    for (const { connection } of servers) orders.push(...this.#serverGone(connection, reason));
    for (const { connection, leaving } of workers)
      orders.push(...this.workerLeft(connection, leaving?.reason ?? reason));
    return orders;
  }

  /** Those who have handed their share in again of an evaluation that somebody was told. */
  #toldBefore(run: Run, evaluation: WholeEvaluation): Order[] {
    if (run.evaluationStep !== evaluation.step) return [];
    const asked = run.workers.filter(({ rank }) => run.evaluation.has(rank));
    run.evaluation.clear();
    run.evaluationStep = -1;
    return asked.map(({ connection }) => ({ to: 'worker', connection, order: { evaluation } }));
  }

  #bindServer(entry: ServerEntry, connection: number): void {
    this.servers.delete(entry.connection);
    (entry as { connection: number }).connection = connection;
    this.servers.set(connection, entry);
  }

  #bindWorker(run: Run, worker: WorkerEntry, connection: number): void {
    this.#runOfWorker.delete(worker.connection);
    (worker as { connection: number }).connection = connection;
    this.#runOfWorker.set(connection, run);
  }

  /** When all are back, what was on its way goes on. */
  #recovered(): Order[] {
    const missing = [...this.runs.values()].some((run) =>
      run.workers.some((worker) => isAbsent(worker) && !worker.leaving && !worker.done),
    );
    if (!this.#recovering || missing || this.absentServers.length > 0) return [];
    return this.#resume();
  }

  #resume(): Order[] {
    this.#recovering = false;
    const orders: Order[] = [];
    for (const run of [...this.runs.values()]) {
      if (run.state === 'gathering') orders.push(...this.#gathered(run));
      const { decided } = run;
      run.decided = undefined;
      // Whoever is held for a view that will not come goes on; where somebody leaves, all are held until it is decided.
      const isLeft = run.afresh !== undefined || run.workers.some(({ leaving }) => leaving);
      if (run.state === 'running' && !decided && !isLeft) orders.push(...toWorkers(run, { view: run.view }));
      if (decided) {
        const { rank = 0, reason = '', putOut = false } = decided.departed ?? {};
        run.change = new ViewChange(
          decided as View & { number: number },
          0,
          run.workers.map(({ connection }) => connection),
          run.servers.map(({ connection }) => connection),
          decided.departed ? { rank, reason, putOut, label: '' } : undefined,
          decided,
        );
        orders.push(...toServers(run, { change: { run: run.id, view: decided } }));
      }
      const { afresh } = run;
      run.afresh = undefined;
      if (afresh) orders.push(...this.#afresh(run, afresh));
      for (const worker of run.workers.filter(({ leaving }) => leaving)) {
        this.#runOfWorker.delete(worker.connection);
        orders.push(...this.#depart(run, worker, worker.leaving?.reason ?? '', worker.leaving?.putOut));
      }
    }
    return [...orders, ...this.#emptied()];
  }

  /** Who holds the run up, in one sentence; empty where nobody does. */
  waiting(run: Run): string {
    const absent = [
      ...run.servers.filter(isAbsent).map(({ id, address }) => `server ${id} (${address})`),
      ...run.workers
        .filter((worker) => isAbsent(worker) && !worker.done)
        .map(({ rank, label }) => `worker ${rank} (${label})`),
    ];
    if (absent.length > 0) return `waits for ${absent.join(', ')} to come back after the change of keeper`;
    if (run.state === 'gathering') {
      const missing = run.spec.workers - run.workers.length;
      if (missing > 0) return `waits for ${missing} more of ${run.spec.workers} workers`;
      return this.servers.size === 0 ? 'waits for a server' : '';
    }
    const joining = (run.view?.shards ?? []).flatMap((copies, shard) =>
      copies.joining.map((server) => `that of shard ${shard} on server ${server}`),
    );
    if (run.state === 'preparing' && joining.length > 0) return `waits for copies: ${joining.join(', ')}`;
    if (run.state === 'preparing')
      return `waits for the shards of ${run.servers
        .filter(({ connection }) => !run.prepared.has(connection))
        .map(({ address }) => address)
        .join(', ')}`;
    if (run.evaluation.size > 0) {
      const missing = run.workers.filter(({ rank }) => !run.evaluation.has(rank));
      return `waits at step ${run.evaluationStep} for the evaluation of ${missing.map(({ rank, label }) => `worker ${rank} (${label})`).join(', ')}`;
    }
    if (run.change) {
      const missing = new Set(run.change.missing());
      const names = [
        ...run.workers.map((worker) => ({ ...worker, name: `worker ${worker.rank} (${worker.label})` })),
        ...run.servers.map((server) => ({ ...server, name: `server ${server.id} (${server.address})` })),
      ].flatMap(({ connection, name }) => (missing.has(connection) ? [name] : []));
      return `waits for the answer of ${names.join(', ')} to view ${run.change.proposed.number}`;
    }
    const last = Math.min(...run.workers.map(({ step }) => step));
    const { number = 0, fromStep = 0 } = run.view ?? {};
    const before = run.workers.filter(({ view, step }) => view < number && step + 1 < fromStep);
    // Whoever is in the exchange of the last step under the old view waits for all to be there.
    if (
      before.length > 0 &&
      run.workers.some(({ step, phase }) => step + 1 === fromStep && phase === 'exchange')
    )
      return `waits at step ${fromStep}, from which view ${number} holds, for ${before.map(({ rank, label, phase, secondsInPhase }) => `worker ${rank} (${label}), in ${phase} for ${secondsInPhase.toFixed(1)} s`).join('; ')}`;
    const late = run.workers.filter(({ step }) => step === last);
    if (late.length === run.workers.length) return waitingForServers(run);
    // Within a round of `local` each goes its own way: who waits is ahead, and in the exchange.
    const someoneWaits = run.workers.some(({ step, phase }) => step > last && phase === 'exchange');
    if (run.spec.local && !someoneWaits) return '';
    const lead = Math.max(...run.workers.map(({ step }) => step)) - last;
    // Whoever is within the bound goes on; only an evaluation waits for everybody.
    if (lead < stalenessOf(run.spec) && run.workers.every(({ phase }) => phase !== 'evaluate')) return '';
    return `waits at step ${last} for ${late.map(({ rank, label, phase, secondsInPhase }) => `worker ${rank} (${label}), in ${phase} for ${secondsInPhase.toFixed(1)} s`).join('; ')}`;
  }

  #gathered(run: Run): Order[] {
    const complete = run.workers.length === run.spec.workers && this.servers.size > 0 && !this.#recovering;
    const orders: Order[] = run.workers.map(({ connection, rank }) => ({
      to: 'worker',
      connection,
      order: {
        welcome: {
          run: run.id,
          rank,
          workersJoined: run.workers.length,
          workersExpected: run.spec.workers,
          servers: this.servers.size,
        },
      },
    }));
    return complete ? [...orders, ...this.#prepare(run)] : orders;
  }

  #prepare(run: Run): Order[] {
    const { replicas = 0 } = run.spec;
    const peers = [...this.servers.values()].some(({ peer }) => peer);
    const rigid = replicas > 1 && replicationFault(run.spec, peers);
    if (rigid) return this.#end(run, true, rigid);
    if (replicas > this.servers.size)
      return this.#end(
        run,
        true,
        `replicas: expected at most the ${this.servers.size} servers of the mesh, got ${replicas}; start more servers, or ask for fewer`,
      );
    const memory = this.#memoryRefusal(run.spec);
    if (memory) return this.#end(run, true, memory.sentence);
    // Nobody has asked for copies: where they do not fit the run goes without, and its workers say so.
    run.wanted = replicas || (this.#memoryRefusal(run.spec, REPLICAS_DEFAULT) ? 1 : REPLICAS_DEFAULT);
    const { blocks } = layoutOf(run.spec);
    run.servers = [...this.servers.values()].filter(({ id }) => !this.#drains.has(id));
    run.state = 'preparing';
    const infos = run.servers.map(infoOf);
    run.view = {
      number: 1,
      term: 1,
      shards: alone(infos),
      fromStep: run.spec.resume?.step ?? 0,
      servers: infos,
      workers: run.workers.map(({ rank, label }) => ({ rank, label })),
      placement: place({
        sizes: blocks.map((block) => blockBytes(block, run.spec.optimizer, run.spec.codec, run.spec.elastic)),
        servers: infos,
      }),
      ...(run.spec.tables && { rowPlacement: placeRows(infos) }),
      ...rulesToWire(run.spec),
    };
    const prepare = { run: run.id, spec: toWire(run.spec), view: run.view };
    return run.servers.map(({ connection }) => ({ to: 'server', connection, order: { prepare } }));
  }

  #checkMemory(spec: RunSpec): void {
    layoutOf(spec);
    const refusal = this.servers.size > 0 ? this.#memoryRefusal(spec) : undefined;
    if (refusal) throw refusal;
  }

  /** Bytes that a server has for another run. */
  #freeBytes(server: ServerEntry): number {
    let free = server.memoryBytes;
    for (const run of this.runs.values()) {
      const { spec, servers, view } = run;
      if (!servers.includes(server)) continue;
      for (const [shard, copies] of (view?.shards ?? []).entries())
        if (holdersOf(copies).includes(server.id)) free -= shardBytesOf(run, shard);
      free -= rowsBytes(spec.tables ?? [], servers.length);
    }
    return free;
  }

  #memoryRefusal(spec: RunSpec, copies = spec.replicas ?? 1): Refused | undefined {
    const free = [...this.servers.values()].map((server) => this.#freeBytes(server));
    const peers = [...this.servers.values()].some(({ peer }) => peer);
    const replicas = replicasOf({ ...spec, replicas: copies }, free.length, peers);
    return (
      memoryRefusal(
        spec,
        free.map((bytes) => Math.min(bytes, replicas * SHARD_MEMORY_MAX_BYTES)),
        replicas,
      ) ?? rowsRefusal(spec.tables ?? [], free, (servers) => shareBytes(spec, servers))
    );
  }

  #endIfDone(run: Run): Order[] {
    return run.workers.every(({ done }) => done) ? this.#end(run, false, 'done') : [];
  }

  #end(run: Run, failed: boolean, reason: string): Order[] {
    this.runs.delete(run.id);
    for (const { connection } of run.workers) this.#runOfWorker.delete(connection);
    const ended = {
      failed,
      reason,
      bytesPushed: run.workers.reduce((sum, worker) => sum + worker.bytesPushed, 0),
      bytesPulled: run.workers.reduce((sum, worker) => sum + worker.bytesPulled, 0),
      bytesRetried: run.workers.reduce((sum, worker) => sum + worker.bytesRetried, 0),
    };
    this.#ended.delete(run.id);
    this.#ended.set(run.id, { run: run.id, ...ended });
    for (const id of [...this.#ended.keys()].slice(0, -RUNS_MAX)) this.#ended.delete(id);
    const { change } = run;
    const refusal = refuse('NOT_NOW', `nothing was changed: the run has ended (${reason})`).toMessage();
    return [
      ...toWorkers(run, { ended }),
      ...(change
        ? [{ to: 'caller', connection: change.call, order: { run: run.id, refusal } } as const]
        : []),
      ...run.servers.map(
        ({ connection }): Order => ({ to: 'server', connection, order: { end: { run: run.id, reason } } }),
      ),
      ...this.#emptied(),
    ];
  }
}

/** What outlives a keeper. */
export interface Lasting {
  readonly nextServer: number;
  readonly nextRun: number;
  readonly servers: readonly ServerEntry[];
  readonly runs: readonly Run[];
  readonly ended: readonly RunEnd[];
  /** Ids of servers that are being emptied. */
  readonly draining: readonly number[];
}

/** Whether somebody was here under the keeper before and has not come back. */
function isAbsent({ connection }: { connection: number }): boolean {
  return connection < 0;
}

const infoOf = ({ id, address }: ServerEntry) => ({ id, address, weight: 1 });

/** Bytes that one copy of a shard takes. */
function shardBytesOf({ spec, view }: Run, shard: number): number {
  const blocks = layoutOf(spec).blocks.filter((block) => view?.placement?.[block.index] === shard);
  return shardBytes(blocks, spec.optimizer, spec.codec, spec.elastic);
}

/** Whether some worker has yet to come under the view: until then shards may go by rules under which nothing is copied. */
function isBetweenViews({ workers, view }: Run): boolean {
  return workers.some((worker) => worker.view < (view?.number ?? 0));
}

function toServers(run: Run, order: ServerOrder): Order[] {
  return run.servers.map(({ connection }) => ({ to: 'server', connection, order }));
}

function toWorkers(run: Run, order: WorkerOrder): Order[] {
  return run.workers.map(({ connection }) => ({ to: 'worker', connection, order }));
}

/** Of a view that is proposed now. */
function nextNumber(run: Run): number {
  run.proposed = Math.max(run.view?.number ?? 0, run.proposed ?? 0) + 1;
  return run.proposed;
}

/** A run that has all its workers may still wait for a server. */
/** Which servers others wait for within the open step, in one sentence; empty where nobody does. */
function waitingForServers({ servers, serverWaits }: Run): string {
  const waits = [...serverWaits.values()];
  if (waits.length === 0) return '';
  const named = (of: (wait: ServerWait) => readonly number[]) =>
    servers
      .filter(({ id }) => waits.some((wait) => of(wait).includes(id)))
      .map(({ id, address }) => `server ${id} (${address})`)
      .join(', ');
  const parts = named((wait) => wait.servers);
  const copies = named((wait) => wait.copies);
  const longest = waits.reduce((one, other) => (other.seconds > one.seconds ? other : one));
  const whom = [
    ...(parts ? [`the part of ${parts} in what all servers decide together`] : []),
    ...(copies ? [`the copy of ${copies}`] : []),
  ];
  return `waits at step ${longest.step} for ${whom.join(' and ')}, for ${longest.seconds.toFixed(1)} s`;
}

function takesWorkers(run: Run): boolean {
  return run.state === 'gathering' && run.workers.length < run.spec.workers;
}

function stepOf(run: Run): number {
  return run.workers.length === 0 ? 0 : Math.min(...run.workers.map(({ step }) => step));
}

function checkProtocol(version: number): void {
  if (version !== PROTOCOL_VERSION)
    throw refuse(
      'PROTOCOL_VERSION',
      `expected protocol version ${PROTOCOL_VERSION}, got ${version}; run the same gradloom on every node`,
    );
}
