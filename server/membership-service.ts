// The gRPC face of the keeper: participants' streams in, the coordinator's orders out. The life of a stream is
// the life of its participant. On a server that is not the keeper (at the moment) it refuses, and says who is.
import { performance } from 'node:perf_hooks';
import type * as grpc from '@grpc/grpc-js';
import { sentence } from '../shared/errors.js';
import { WAITING_NOTICE_MS } from '../shared/limits.js';
import type { BackupLost__Output } from '../shared/rpc/generated/gradloom/v1/BackupLost.js';
import type { ChangeReply } from '../shared/rpc/generated/gradloom/v1/ChangeReply.js';
import type { ChangeRequest__Output } from '../shared/rpc/generated/gradloom/v1/ChangeRequest.js';
import type { DrainReply } from '../shared/rpc/generated/gradloom/v1/DrainReply.js';
import type { DrainRequest__Output } from '../shared/rpc/generated/gradloom/v1/DrainRequest.js';
import type { MembershipHandlers } from '../shared/rpc/generated/gradloom/v1/Membership.js';
import type { ServerOrder } from '../shared/rpc/generated/gradloom/v1/ServerOrder.js';
import type { ServerReport__Output } from '../shared/rpc/generated/gradloom/v1/ServerReport.js';
import type { StatusReply } from '../shared/rpc/generated/gradloom/v1/StatusReply.js';
import type { WorkerOrder } from '../shared/rpc/generated/gradloom/v1/WorkerOrder.js';
import type { WorkerReport__Output } from '../shared/rpc/generated/gradloom/v1/WorkerReport.js';
import { Refused, refuse } from '../shared/rpc/refusal.js';
import { rulesToWire } from '../shared/run/rules.js';
import type { RunSpec } from '../shared/run/spec.js';
import { fromWire, toWire } from '../shared/run/wire.js';
import type { Coordinator, Order } from './coordinator.js';
import { SlownessWatch, type Straggler, stepSecondsOf } from './slowness-watch.js';
import type { SnapshotKeeper } from './snapshot/keeper.js';

type ServeCall = grpc.ServerDuplexStream<ServerReport__Output, ServerOrder>;
type WorkCall = grpc.ServerDuplexStream<WorkerReport__Output, WorkerOrder>;

/** What a keeper must not forget is made to last before the orders leave that depend on it. */
export interface WriteAhead {
  /** Calls in the order in which it was called, and never where the keeper is another by then. */
  write(then: () => void): void;
  /** Throws Refused for a run that could not be kept. */
  checkRun(spec: RunSpec): void;
}

/** What follows from what all have handed in (a whole evaluation), or is only said, nobody has to remember. */
function leavesNoTrace(order: Order): boolean {
  if (order.to !== 'worker') return false;
  const { evaluation, evaluationWait } = order.order;
  return Boolean(evaluationWait) || (evaluation?.records ?? 0) > 0;
}

export class MembershipService {
  #nextConnection = 1;
  readonly #servers = new Map<number, ServeCall>();
  readonly #workers = new Map<number, WorkCall>();
  readonly #slowness = new SlownessWatch();
  /** Of the keeper: takes the snapshots of its runs. */
  snapshots: SnapshotKeeper | undefined;
  /** Calls of `Change`, `Drain` and `Describe` that wait for their answer. */
  readonly #callers = new Map<number, grpc.sendUnaryData<ChangeReply & DrainReply>>();
  #coordinator: Coordinator | undefined;
  #writeAhead: WriteAhead | undefined;

  constructor(
    /** Where the keeper is, for those who ask somebody else. */
    readonly keeperName: () => string,
    readonly log: (message: string) => void,
    readonly onRefused: (code: string) => void,
  ) {}

  /** Undefined on a server that is not the keeper. */
  get coordinator(): Coordinator | undefined {
    return this.#coordinator;
  }

  /** This server is the keeper from now on. @param writeAhead what has to be done before orders leave */
  keep(coordinator: Coordinator, writeAhead?: WriteAhead): void {
    this.#coordinator = coordinator;
    this.#writeAhead = writeAhead;
  }

  /** This server is not the keeper any more: everybody is sent away, to the one that follows. */
  stopKeeping(): void {
    this.#coordinator = undefined;
    this.#writeAhead = undefined;
    this.close();
    for (const connection of this.#workers.keys()) this.#slowness.left(connection);
    this.#servers.clear();
    this.#workers.clear();
    for (const callback of this.#callers.values())
      callback(null, {
        refusal: refuse(
          'NOT_NOW',
          'the keeper has changed; look with `gradloom status` what holds, and try again',
        ).toMessage(),
      });
    this.#callers.clear();
  }

  handlers(): MembershipHandlers {
    return {
      Serve: (call: ServeCall) => {
        this.#participant(
          call,
          this.#servers,
          (connection, report, first) => {
            const coordinator = this.#keeper();
            if (first) {
              if (!report.hello)
                throw refuse('MALFORMED', 'expected hello as the first report, got something else');
              const { hello } = report;
              if (hello.back) return coordinator.serverBack(connection, hello, hello.back);
              return coordinator.serverJoined(connection, hello);
            }
            // With each of these a run may begin.
            const { prepared, replicated, backupLost } = report;
            if (prepared || replicated || backupLost) {
              const orders = prepared
                ? coordinator.serverPrepared(connection, report.run, prepared.term)
                : replicated
                  ? coordinator.shardReplicated(connection, report.run, replicated)
                  : coordinator.backupLost(connection, report.run, backupLost as BackupLost__Output);
              void this.snapshots?.begin(report.run);
              return orders;
            }
            if (report.leaving) return this.#leaving(connection);
            if (report.shardTimes) {
              const run = coordinator.runs.get(report.run);
              const id = coordinator.servers.get(connection)?.id;
              if (run && id !== undefined)
                this.#slowness.shards(run, id, report.shardTimes, performance.now());
              return [];
            }
            if (report.diverged) {
              coordinator.copyDiverged(connection, report.run, report.diverged);
              // Nobody is told, but the next keeper has to know.
              this.dispatch([]);
              return [];
            }
            if (report.snapshot) {
              this.snapshots?.part(`shard ${report.snapshot.shard}`, report.run, report.snapshot);
              return [];
            }
            if (report.refused)
              return coordinator.serverRefused(connection, report.run, report.refused.sentence);
            if (report.taken) return coordinator.serverTaken(connection, report.run, report.taken.number);
            if (report.offends) return coordinator.workerOffends(connection, report.run, report.offends);
            if (report.progress) {
              coordinator.serverProgress(connection, report.run, report.progress);
              return [];
            }
            if (report.fenced) return coordinator.serverFenced(connection, report.run, report.fenced);
            throw refuse(
              'MALFORMED',
              'expected prepared, taken, fenced, progress, refused, diverged, shard_times or a snapshot, got an empty report',
            );
          },
          (connection, reason) => this.#coordinator?.serverLeft(connection, reason) ?? [],
        );
      },
      Work: (call: WorkCall) => {
        this.#participant(
          call,
          this.#workers,
          (connection, report, first) => {
            const coordinator = this.#keeper();
            if (first) {
              if (!report.hello)
                throw refuse('MALFORMED', 'expected hello as the first report, got something else');
              const { hello } = report;
              const back = hello.token && coordinator.workerBack(connection, hello, hello.back ?? undefined);
              if (back) return back;
              const spec = fromWire(hello.spec);
              this.#writeAhead?.checkRun(spec);
              return coordinator.workerJoined(connection, hello, spec);
            }
            if (report.progress) {
              const run = coordinator.workerProgress(connection, {
                ...report.progress,
                stepSeconds: stepSecondsOf(report.progress.times),
              });
              if (run) this.#slowness.heard(run, connection, report.progress.times, performance.now());
              return [];
            }
            if (report.evaluation)
              return coordinator.evaluationPart(connection, report.evaluation.step, report.evaluation);
            if (report.done) return coordinator.workerDone(connection, report.done);
            if (report.snapshot) {
              const run = this.snapshots?.runOfWorker(connection) ?? '';
              this.snapshots?.part(`worker ${connection}`, run, report.snapshot);
              return [];
            }
            if (report.held) return coordinator.workerHeld(connection, report.held);
            if (report.entered) return coordinator.workerEntered(connection, report.entered.number);
            throw refuse(
              'MALFORMED',
              'expected progress, evaluation, done, held, entered or a snapshot, got an empty report',
            );
          },
          (connection, reason) => {
            this.#slowness.left(connection);
            return this.#coordinator?.workerLeft(connection, reason) ?? [];
          },
        );
      },
      Describe: (
        call: grpc.ServerUnaryCall<{ run: string }, object>,
        callback: grpc.sendUnaryData<object>,
      ) => {
        try {
          const found = this.#keeper().running(call.request.run);
          const reply = { run: found.id, spec: toWire(found.spec), view: found.view };
          if (!this.#writeAhead) return callback(null, reply);
          // Whoever reads goes by it: it hears of nothing that another keeper may never learn.
          const number = this.#nextConnection++;
          this.#callers.set(number, callback);
          return this.#writeAhead.write(() => {
            if (this.#callers.delete(number)) callback(null, reply);
          });
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          return callback(null, { refusal: error.toMessage() });
        }
      },
      Change: (
        { request }: grpc.ServerUnaryCall<ChangeRequest__Output, ChangeReply>,
        callback: grpc.sendUnaryData<ChangeReply>,
      ) => {
        const call = this.#nextConnection++;
        try {
          this.#callers.set(call, callback);
          this.dispatch(this.#keeper().changeRequested(call, request));
        } catch (error) {
          this.#callers.delete(call);
          if (!(error instanceof Refused)) throw error;
          this.onRefused(error.label);
          callback(null, { run: request.run, refusal: error.toMessage() });
        }
      },
      Drain: (
        { request }: grpc.ServerUnaryCall<DrainRequest__Output, DrainReply>,
        callback: grpc.sendUnaryData<DrainReply>,
      ) => {
        const call = this.#nextConnection++;
        try {
          this.#callers.set(call, callback);
          this.dispatch(this.#keeper().drain(request.server, call));
        } catch (error) {
          this.#callers.delete(call);
          if (!(error instanceof Refused)) throw error;
          this.onRefused(error.label);
          callback(null, { refusal: error.toMessage() });
        }
      },
      Status: (_call: unknown, callback: grpc.sendUnaryData<StatusReply>) => callback(null, this.status()),
    } as unknown as MembershipHandlers;
  }

  /** A server wants to go; where it cannot be emptied it is told why, and stays. */
  #leaving(connection: number): Order[] {
    const coordinator = this.#keeper();
    try {
      return coordinator.drain(coordinator.servers.get(connection)?.id ?? -1);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const refusal = error.toMessage() as { code: 16; sentence: string };
      return [{ to: 'server', connection, order: { drained: { refusal } } }];
    }
  }

  status(): StatusReply {
    const coordinator = this.#coordinator;
    if (!coordinator) return { servers: [], runs: [] };
    const nowMs = performance.now();
    return {
      servers: [...coordinator.servers.values()].map(({ id, address, label, memoryBytes }) => ({
        info: { id, address, weight: 1 },
        label,
        memoryBytes,
      })),
      runs: [...coordinator.runs.values()].map((run) => ({
        run: run.id,
        job: run.spec.job,
        state: run.state,
        workersExpected: run.spec.workers,
        workers: run.workers.map((worker) => ({
          info: { rank: worker.rank, label: worker.label },
          step: worker.step,
          phase: worker.phase,
          secondsInPhase: worker.secondsInPhase,
          times: this.#slowness.timesOf(worker),
          secondsSilent: this.#slowness.secondsSilent(worker, nowMs),
        })),
        straggler: this.#slowness.straggler(run, nowMs),
        ...this.#slowness.pace(run),
        step: run.workers.length > 0 ? Math.min(...run.workers.map(({ step }) => step)) : 0,
        steps: run.spec.epochs * run.spec.stepsPerEpoch,
        waiting: coordinator.waiting(run, {
          secondsSilent: (worker) => this.#slowness.secondsSilent(worker, nowMs),
          missing: (worker) => this.#slowness.missingOf(worker),
          serverSecondsSilent: (server) => this.#slowness.serverSecondsSilent(run, server, nowMs),
          noticeSeconds: this.#slowness.pace(run).noticeSeconds || WAITING_NOTICE_MS / 1000,
        }),
        view: run.view?.number ?? 0,
        fromStep: run.view?.fromStep ?? 0,
        shards: run.view?.shards ?? [],
        term: run.view?.term ?? 0,
        ...rulesToWire(run.spec),
        divergences: run.divergences?.count ?? 0,
        lastDivergence: run.divergences?.last,
        snapshotStep: this.snapshots?.lastOf(run.id)?.step ?? 0,
        snapshot: this.snapshots?.lastOf(run.id)?.path ?? '',
      })),
    };
  }

  /** Who makes the steps of a run long, for each run in which somebody does; none where this is not the keeper. */
  stragglers(): { run: string; straggler: Straggler }[] {
    const nowMs = performance.now();
    return [...(this.#coordinator?.runs.values() ?? [])].flatMap((run) => {
      const straggler = this.#slowness.straggler(run, nowMs);
      return straggler ? [{ run: run.id, straggler }] : [];
    });
  }

  /** Carries out orders, once it is certain that nobody can forget why. */
  dispatch(orders: readonly Order[]): void {
    if (!this.#writeAhead || (orders.length > 0 && orders.every(leavesNoTrace))) this.#send(orders);
    else this.#writeAhead.write(() => this.#send(orders));
  }

  /** An order whose stream has gone is dropped, since its leave has been or will be told. */
  #send(orders: readonly Order[]): void {
    for (const order of orders) {
      if (order.to === 'caller') {
        this.#callers.get(order.connection)?.(null, order.order);
        this.#callers.delete(order.connection);
        const { refusal } = order.order;
        if ('run' in order.order) {
          const { run, view } = order.order;
          this.log(
            `run ${run}: ${view ? `view ${view.number} from step ${view.fromStep}` : refusal?.sentence}`,
          );
        }
      } else if (order.to === 'server') this.#servers.get(order.connection)?.write(order.order);
      else this.#workers.get(order.connection)?.write(order.order);
    }
  }

  /** Ends all participants' streams. */
  close(): void {
    for (const call of [...this.#servers.values(), ...this.#workers.values()]) call.end();
  }

  #keeper(): Coordinator {
    if (!this.#coordinator)
      throw refuse('NOT_NOW', `this server is not the keeper of its mesh; join ${this.keeperName()} instead`);
    return this.#coordinator;
  }

  #participant<R, O>(
    call: grpc.ServerDuplexStream<R, O>,
    calls: Map<number, grpc.ServerDuplexStream<R, O>>,
    handle: (connection: number, report: R, first: boolean) => Order[],
    left: (connection: number, reason: string) => Order[],
  ): void {
    const connection = this.#nextConnection++;
    let joined = false;
    let refused = false;
    const leave = (reason: string) => {
      if (!calls.delete(connection)) return;
      this.dispatch(left(connection, reason));
    };
    calls.set(connection, call);
    call.on('data', (report: R) => {
      if (refused || !calls.has(connection)) return;
      try {
        const orders = handle(connection, report, !joined);
        joined = true;
        if (orders.length > 0) this.dispatch(orders);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refused = true;
        this.log(`refused ${call.getPeer()}: ${error.sentence}`);
        this.onRefused(error.label);
        call.write({ refusal: error.toMessage() } as O);
        call.end();
        leave(`it was refused: ${error.sentence}`);
      }
    });
    call.on('end', () => {
      // A connection that breaks ends the stream first, and says afterwards that it broke.
      setImmediate(() => leave('it left'));
      call.end();
    });
    call.on('cancelled', () => leave('its connection broke'));
    call.on('error', (error) => leave(sentence(error)));
  }
}
