// Who is here, and what they take part in: the servers of the mesh, the workers, the runs and how the last ones ended.
// The keeper's state, apart from what stands in each run. A participant is named by the number of its connection; who
// has not come back after a change of keeper has one below 0.
import { refuse } from '../../shared/rpc/refusal.js';
import { Drains } from '../drains.js';
import {
  isAbsent,
  type PlacedRun,
  type Run,
  type RunEnd,
  type ServerEntry,
  type WorkerEntry,
} from './run.js';

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

export class Members {
  /** By connection. */
  readonly servers = new Map<number, ServerEntry>();
  /** By id. */
  readonly runs = new Map<string, Run>();
  /** The run of a worker, by its connection. */
  readonly runOfWorker = new Map<number, Run>();
  readonly drains = new Drains();
  /** How the last runs ended, for those who missed it. */
  readonly ended = new Map<string, RunEnd>();
  nextServer = 0;
  nextRun = 1;
  /** Whether those who were here under the keeper before are still coming back. */
  recovering = false;
  #absent = 0;

  serverWithId(id: number): ServerEntry | undefined {
    return [...this.servers.values()].find((server) => server.id === id);
  }

  /** Servers that may be given shards: all but those that are being emptied. */
  get takers(): ServerEntry[] {
    return [...this.servers.values()].filter(({ id }) => !this.drains.has(id));
  }

  get absentServers(): ServerEntry[] {
    return [...this.servers.values()].filter(isAbsent);
  }

  /** The worker of a connection, and its run; neither where the run has ended. */
  workerAt(connection: number): { run: Run | undefined; worker: WorkerEntry | undefined } {
    const run = this.runOfWorker.get(connection);
    const worker = run?.workers.find((entry) => entry.connection === connection);
    return { run, worker };
  }

  /** The running run of an id; of an empty one, the only run that is running. Throws Refused. */
  running(id: string): PlacedRun {
    const running = [...this.runs.values()].filter(({ state }) => state === 'running');
    const found = id ? running.find((run) => run.id === id) : running.length === 1 ? running[0] : undefined;
    if (found?.view) return found as PlacedRun;
    throw refuse(
      'UNKNOWN_RUN',
      `expected the id of a running run, got '${id.slice(0, 80)}'; running: ${running.length > 0 ? running.map((run) => `'${run.id}'`).join(', ') : 'none'}`,
    );
  }

  /** A server has another connection now; without one it is absent. */
  bindServer(entry: ServerEntry, connection: number = --this.#absent): void {
    this.servers.delete(entry.connection);
    (entry as { connection: number }).connection = connection;
    this.servers.set(connection, entry);
  }

  /** A worker has another connection now; without one it is absent. */
  bindWorker(run: Run, worker: WorkerEntry, connection: number = --this.#absent): void {
    this.runOfWorker.delete(worker.connection);
    (worker as { connection: number }).connection = connection;
    this.runOfWorker.set(connection, run);
  }

  /** Servers and runs that a keeper which follows needs. Runs that gather or prepare are left out: their workers join anew. */
  get lasting(): Lasting {
    return {
      nextServer: this.nextServer,
      nextRun: this.nextRun,
      servers: [...this.servers.values()],
      runs: [...this.runs.values()].filter(({ state }) => state === 'running'),
      ended: [...this.ended.values()],
      draining: [...this.drains.servers],
    };
  }

  /** Takes over what the keeper before has left, once, before anybody joins. Nobody is here yet: all are waited for. */
  takeOver({ nextServer, nextRun, servers, runs, ended, draining }: Lasting): void {
    this.nextServer = nextServer;
    this.nextRun = nextRun;
    this.recovering = true;
    for (const entry of servers) this.bindServer(entry);
    for (const run of runs) {
      this.runs.set(run.id, run);
      for (const worker of run.workers) this.bindWorker(run, worker);
    }
    for (const end of ended) this.ended.set(end.run, end);
    for (const id of draining) this.drains.begin(id);
  }
}
