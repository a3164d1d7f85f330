// The keeper's pure core: which servers form the mesh, which workers form a run, the run's view and its life.
// Events in, orders out; no I/O, no clock. gathering → preparing → running → ended. A participant is named
// by the number of its connection; when its connection goes, it is gone, and whoever it leaves waiting is told.
// This is the face: each event is handed to the room in keeper/ that knows what follows from it.
import { NAME_CHARACTERS_MAX } from '../shared/limits.js';
import type { CopyDiverged } from '../shared/rpc/generated/gradloom/v1/CopyDiverged.js';
import { PROTOCOL_VERSION } from '../shared/rpc/proto.js';
import { refuse } from '../shared/rpc/refusal.js';
import type { RunSpec } from '../shared/run/spec.js';
import { cancel, changeRequested, depart, serverFenced, serverTaken, workerHeld } from './keeper/changes.js';
import { drain } from './keeper/draining.js';
import { end, endIfDone } from './keeper/ending.js';
import { evaluationPart, evaluationWaits } from './keeper/evaluations.js';
import { backupLost, serverGone, shardReplicated } from './keeper/failover.js';
import { gathered, serverJoined, serverPrepared, workerJoined } from './keeper/joining.js';
import { type Lasting, Members } from './keeper/members.js';
import { fill } from './keeper/placing.js';
import { recovered, resume, serverBack, workerBack } from './keeper/recovery.js';
import {
  type EvaluationPart,
  isAbsent,
  type Order,
  type PlacedRun,
  type Run,
  type ServerEntry,
  type WholeEvaluation,
} from './keeper/run.js';
import { type Heard, waiting } from './keeper/waiting.js';
import type { ServerWait } from './server-waits.js';
import type { Fenced } from './view-change.js';

export type { Lasting } from './keeper/members.js';
export type { Order, Run, RunEnd, ServerEntry, WholeEvaluation, WorkerEntry } from './keeper/run.js';

export class Coordinator {
  readonly #members = new Members();
  /** By connection. */
  readonly servers: ReadonlyMap<number, ServerEntry> = this.#members.servers;
  /** By id. */
  readonly runs: ReadonlyMap<string, Run> = this.#members.runs;
  /** Id of the server whose process this is, where the mesh ends with it. */
  keeper: number | undefined;

  /** @param newRunId makes the id of a run that no worker named, from its job and number */
  constructor(
    readonly newRunId: (job: string, number: number) => string = (job, number) => `${job}-${number}`,
  ) {}

  // Servers.

  /** A server joins the mesh. Throws Refused. */
  serverJoined(
    connection: number,
    hello: { protocolVersion: number; address: string; memoryBytes: number; label: string; peer?: boolean },
  ): Order[] {
    checkProtocol(hello.protocolVersion);
    const before = [...this.servers.values()].find(({ address }) => address === hello.address);
    if (!before || !isAbsent(before)) return serverJoined(this.#members, connection, hello);
    // Another process is there now, so the one that was is gone.
    return [
      ...serverGone(this.#members, before.connection, 'it was started again'),
      ...serverJoined(this.#members, connection, hello),
      ...recovered(this.#members),
    ];
  }

  serverLeft(connection: number, reason: string): Order[] {
    const entry = this.servers.get(connection);
    if (!entry || !this.isRecovering) return serverGone(this.#members, connection, reason);
    this.#members.bindServer(entry);
    return [];
  }

  /** A server stops in good order. */
  serverStopped(id: number, reason: string): Order[] {
    const entry = this.#members.serverWithId(id);
    return entry ? serverGone(this.#members, entry.connection, reason) : [];
  }

  /** A server has made its shards. @param term of the view by which it has */
  serverPrepared(connection: number, runId: string, term = 1): Order[] {
    return serverPrepared(this.#members, connection, runId, term);
  }

  serverRefused(connection: number, runId: string, sentence: string): Order[] {
    const run = this.runs.get(runId);
    const server = run?.servers.find((entry) => entry.connection === connection);
    if (!run || !server) return [];
    const what = run.state === 'preparing' ? 'prepare its shard' : 'change its view';
    const reason = `server ${server.id} (${server.address}) could not ${what}: ${sentence}`;
    return end(this.#members, run, true, reason);
  }

  /** A server has become a copy of a shard. */
  shardReplicated(connection: number, runId: string, copy: { shard: number; server: number }): Order[] {
    return shardReplicated(this.#members, connection, runId, copy);
  }

  /** The primary of a shard cannot reach a copy of it. */
  backupLost(connection: number, runId: string, copy: { shard: number; server: number }): Order[] {
    return backupLost(this.#members, connection, runId, copy);
  }

  /** The primary of a shard has mended a block of a copy that was not equal to its own. */
  copyDiverged(connection: number, runId: string, last: CopyDiverged): void {
    const run = this.runs.get(runId);
    if (!run?.servers.some((server) => server.connection === connection)) return;
    run.divergences = { count: (run.divergences?.count ?? 0) + 1, last };
  }

  /** A server is to hold nothing any more. Throws Refused. */
  drain(server: number, call?: number): Order[] {
    return drain(this.#members, server, this.keeper, call);
  }

  /** A server says which others its open step waits for; none: it does no more. */
  serverProgress(connection: number, id: string, wait: ServerWait): void {
    const run = this.runs.get(id);
    if (!run?.servers.some((server) => server.connection === connection)) return;
    if (wait.servers.length + wait.copies.length === 0) run.serverWaits.delete(connection);
    else run.serverWaits.set(connection, wait);
  }

  // Workers.

  /** A worker joins the run that it names, or one of the same job that waits, or opens a new one. Throws Refused. */
  workerJoined(
    connection: number,
    hello: { protocolVersion: number; run: string; label: string; token?: string },
    spec: RunSpec,
  ): Order[] {
    checkProtocol(hello.protocolVersion);
    return workerJoined(this.#members, connection, hello, spec, this.newRunId);
  }

  workerLeft(connection: number, reason: string): Order[] {
    const { run, worker } = this.#members.workerAt(connection);
    this.#members.runOfWorker.delete(connection);
    if (!run || !worker || !this.runs.has(run.id)) return [];
    if (this.isRecovering && run.state === 'running') {
      this.#members.bindWorker(run, worker);
      return [];
    }
    if (run.state === 'gathering') {
      run.workers.splice(run.workers.indexOf(worker), 1);
      for (const [rank, entry] of run.workers.entries()) (entry as { rank: number }).rank = rank;
      if (run.workers.length === 0) this.#members.runs.delete(run.id);
      return gathered(this.#members, run);
    }
    if (worker.done) return endIfDone(this.#members, run);
    return depart(this.#members, run, worker, reason);
  }

  /** A worker has said how far it is. Throws Refused. */
  workerProgress(
    connection: number,
    progress: { step: number; phase: string; secondsInPhase: number; stepSeconds?: number },
  ): Run | undefined {
    const { run, worker } = this.#members.workerAt(connection);
    const { step, phase, secondsInPhase, stepSeconds = worker?.stepSeconds } = progress;
    if (phase.length > NAME_CHARACTERS_MAX || !(secondsInPhase >= 0 && Number.isFinite(secondsInPhase)))
      throw refuse(
        'MALFORMED',
        `expected a phase of at most ${NAME_CHARACTERS_MAX} characters and a time of at least 0 seconds in it, got others`,
      );
    if (worker) Object.assign(worker, { step, phase, secondsInPhase, stepSeconds });
    return run;
  }

  /** A worker goes on under a view. When all do, copies are made that had to wait for its rules. */
  workerEntered(connection: number, number: number): Order[] {
    const { run, worker } = this.#members.workerAt(connection);
    if (!run || !worker || number > (run.view?.number ?? 0)) return [];
    worker.view = number;
    return fill(this.#members, run);
  }

  /** One worker's share of an evaluation. Throws Refused. */
  evaluationPart(
    connection: number,
    step: number,
    part: EvaluationPart & { view?: number; again?: boolean },
  ): Order[] {
    const { run, worker } = this.#members.workerAt(connection);
    if (run?.state !== 'running' || !worker)
      throw refuse('NOT_NOW', 'expected an evaluation from a worker of a running run');
    return evaluationPart(run, worker, step, part);
  }

  /** Tells who has given its share of an evaluation whose are missing. */
  evaluationWaits(): Order[] {
    return [...this.runs.values()].flatMap(evaluationWaits);
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
    if (this.isRecovering) {
      worker.leaving = { reason, putOut: true };
      return recovered(this.#members);
    }
    const ended = {
      failed: true,
      reason: `worker ${rank} was put out: ${sentence}; look at its data and its host`,
    };
    const orders = depart(this.#members, run, worker, reason, true);
    // Where the run cannot go on without it, all have been told.
    if (!this.runs.has(runId)) return orders;
    this.#members.runOfWorker.delete(worker.connection);
    return [{ to: 'worker', connection: worker.connection, order: { ended } }, ...orders];
  }

  /** A worker takes no more steps; the run ends when all are done. Until then the others are told. */
  workerDone(
    connection: number,
    { steps, ...bytes }: { bytesPushed: number; bytesPulled: number; bytesRetried?: number; steps: number },
  ): Order[] {
    const { run, worker } = this.#members.workerAt(connection);
    if (!run || !worker) return [];
    worker.done = true;
    worker.bytesPushed = bytes.bytesPushed;
    worker.bytesPulled = bytes.bytesPulled;
    worker.bytesRetried = bytes.bytesRetried ?? 0;
    const cancelled =
      run.change && !run.change.view && !run.change.leaving
        ? cancel(this.#members, run, run.change, `worker ${worker.rank} is done, so the run ends`)
        : [];
    const told = run.workers.flatMap(({ connection, done }): Order[] =>
      done ? [] : [{ to: 'worker', connection, order: { done: { rank: worker.rank, steps } } }],
    );
    return [...cancelled, ...told, ...endIfDone(this.#members, run)];
  }

  // The next view of a run.

  /** The running run of an id; of an empty one, the only run that is running. Throws Refused. */
  running(id: string): PlacedRun {
    return this.#members.running(id);
  }

  /** Begins a change of a run's consistency; the call is answered when it is decided from which step. Throws Refused. */
  changeRequested(call: number, request: { run: string; consistency: number; staleness: number }): Order[] {
    return changeRequested(this.#members, this.running(request.run), call, request);
  }

  /** A worker goes no further than to the step that is next for it. Throws Refused. */
  workerHeld(connection: number, held: { number: number; step: number }): Order[] {
    return workerHeld(this.#members, connection, held);
  }

  /** A server takes nothing more of the worker that has left. */
  serverFenced(
    connection: number,
    runId: string,
    fenced: Fenced & { number: number; initialized: boolean },
  ): Order[] {
    return serverFenced(this.#members, connection, runId, fenced);
  }

  /** A server will change. */
  serverTaken(connection: number, runId: string, number: number): Order[] {
    return serverTaken(this.#members, connection, runId, number);
  }

  // A keeper that follows another (coordinator-state.ts, coordination/).

  /** What a keeper that follows needs. */
  get lasting(): Lasting {
    return this.#members.lasting;
  }

  /** Whether somebody who was here under the keeper before is still waited for. */
  get isRecovering(): boolean {
    return this.#members.recovering;
  }

  get absentServers(): ServerEntry[] {
    return this.#members.absentServers;
  }

  /** Takes over what the keeper before has left, once, before anybody joins. Nobody is here yet: all are waited for. */
  takeOver(lasting: Lasting): Order[] {
    this.#members.takeOver(lasting);
    return recovered(this.#members);
  }

  /** A server comes back. Throws Refused where it has been given up. */
  serverBack(
    connection: number,
    hello: { protocolVersion: number; address: string },
    back: { id: number; runs: readonly string[] },
  ): Order[] {
    checkProtocol(hello.protocolVersion);
    return serverBack(this.#members, connection, hello, back);
  }

  /** A worker comes back; undefined where nobody knows it and its run had not started, so that it joins as a new one. */
  workerBack(
    connection: number,
    hello: { protocolVersion: number; token: string },
    back?: { run: string; view: number; term?: number; evaluated?: WholeEvaluation | null },
  ): Order[] | undefined {
    checkProtocol(hello.protocolVersion);
    return workerBack(this.#members, connection, hello, back);
  }

  /** It is certain that a server does not come back. */
  absentServerGone(id: number, reason: string): Order[] {
    const entry = this.#members.serverWithId(id);
    if (!entry || !isAbsent(entry)) return [];
    return [...serverGone(this.#members, entry.connection, reason), ...recovered(this.#members)];
  }

  /** Whoever has not come back by now is gone. */
  giveUp(reason: string): Order[] {
    if (!this.isRecovering) return [];
    const workers = [...this.runs.values()].flatMap((run) => run.workers.filter(isAbsent));
    const servers = this.absentServers;
    const orders = resume(this.#members);
    for (const { connection } of servers) orders.push(...serverGone(this.#members, connection, reason));
    for (const { connection, leaving } of workers)
      orders.push(...this.workerLeft(connection, leaving?.reason ?? reason));
    return orders;
  }

  // All of it.

  /** Who holds the run up, in one sentence; empty where nobody does. */
  waiting(run: Run, heard?: Heard): string {
    return waiting(run, this.#members.takers.length, heard);
  }

  /** Ends everything, as the keeper does when it is stopped. */
  shutDown(reason: string): Order[] {
    return [...this.runs.values()].flatMap((run) => end(this.#members, run, true, reason));
  }
}

function checkProtocol(version: number): void {
  if (version !== PROTOCOL_VERSION)
    throw refuse(
      'PROTOCOL_VERSION',
      `expected protocol version ${PROTOCOL_VERSION}, got ${version}; run the same gradloom on every node`,
    );
}
