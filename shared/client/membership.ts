// A worker's membership of a run: its stream to the keeper, from joining to the end. Used by the worker binary
// and the SDK alike.
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type * as grpc from '@grpc/grpc-js';
import { isInEtcd } from '../config/place.js';
import { RunError } from '../errors.js';
import type { ChangeReply__Output } from '../rpc/generated/gradloom/v1/ChangeReply.js';
import type { DescribeReply__Output } from '../rpc/generated/gradloom/v1/DescribeReply.js';
import type { DrainReply__Output } from '../rpc/generated/gradloom/v1/DrainReply.js';
import type { Evaluation__Output } from '../rpc/generated/gradloom/v1/Evaluation.js';
import type { EvaluationPart } from '../rpc/generated/gradloom/v1/EvaluationPart.js';
import type { EvaluationWait__Output } from '../rpc/generated/gradloom/v1/EvaluationWait.js';
import type { SnapshotPart } from '../rpc/generated/gradloom/v1/SnapshotPart.js';
import type { StatusReply__Output } from '../rpc/generated/gradloom/v1/StatusReply.js';
import type { StepTimes } from '../rpc/generated/gradloom/v1/StepTimes.js';
import type { TakeSnapshot__Output } from '../rpc/generated/gradloom/v1/TakeSnapshot.js';
import type { View__Output } from '../rpc/generated/gradloom/v1/View.js';
import type { WorkerOrder__Output } from '../rpc/generated/gradloom/v1/WorkerOrder.js';
import type { WorkerReport } from '../rpc/generated/gradloom/v1/WorkerReport.js';
import type { WorkerWelcome__Output } from '../rpc/generated/gradloom/v1/WorkerWelcome.js';
import { PROTOCOL_VERSION } from '../rpc/proto.js';
import { reasonOf } from '../rpc/reason.js';
import { Refused } from '../rpc/refusal.js';
import { connectMembership, type MembershipStreams } from '../rpc/transport.js';
import { type Rules, rulesToWire } from '../run/rules.js';
import type { RunSpec } from '../run/spec.js';
import { toWire } from '../run/wire.js';
import { Usual, usually } from '../usual.js';
import type { WaitTold } from './exchange-options.js';
import { KeeperStream } from './keeper-stream.js';
import { keeperOf, oneKeeper, openKeepers } from './keepers.js';

export interface JoinOptions {
  /** HOST:PORT of the keeper, or the mesh in etcd: a place, as in config/place.ts. */
  address: string;
  /** Empty: any run of the job that waits for workers, else a new one. */
  run: string;
  spec: RunSpec;
  /** Host and process, for people. */
  label: string;
  peerDeadlineMs: number;
  /** How to reach the keeper other than over the network. */
  streams?: MembershipStreams;
  /** Told at joining and whenever somebody else joins or leaves before the start. */
  onWelcome(welcome: WorkerWelcome__Output): void;
  /** A part of a snapshot is wanted of this worker; answered by `snapshot`. */
  onSnapshot?(order: TakeSnapshot__Output): void;
  /**
   * A view is about to be made: go no further than to the end of the step under way until it is told.
   * Resolves to the step that is next. Left out: cannot be held, so nobody can change the run; the keeper names it.
   */
  onHold?(): Promise<number>;
  /** Decided: from its step on this view holds. The one that holds already: what was held goes on. */
  onView?(view: View__Output): void;
  /** Other servers hold the shards now: see the view. */
  onPlaced?(view: View__Output): void;
  /** Others have not given their shares of an evaluation for longer than is usual: told every second from then on. */
  onWaiting?(waiting: WaitTold): void;
  /** What this worker is in the midst of, in words that follow its name: said where the keeper is lost meanwhile. */
  doing?(): string;
  /** Another worker has taken its last step. */
  onDone?(worker: { name: string; steps: number }): void;
  /** The run has failed, or the keeper is gone: after the start, once. */
  onLost(error: RunError): void;
}

/** Payload of the steps that went over the network. */
export interface Bytes {
  bytesPushed: number;
  bytesPulled: number;
  /** Sent once more, after a stream had broken. */
  bytesRetried: number;
}

export interface Membership {
  readonly run: string;
  readonly rank: number;
  readonly view: View__Output;
  progress(progress: { step: number; phase: string; secondsInPhase: number; times?: StepTimes }): void;
  /** Hands in this worker's share; resolves to the whole when all workers have. */
  evaluate(part: EvaluationPart): Promise<Evaluation__Output>;
  /** Reports this worker's part of a snapshot. */
  snapshot(part: SnapshotPart): void;
  /** Says that this worker is done, after how many steps, and what it moved; resolves to the sums of all workers when the run has ended. */
  done(bytes: Bytes & { steps: number }): Promise<Bytes>;
  /** Says that this worker has done all steps before a view's, and goes on under it. */
  entered(number: number): void;
  /** Leaves at once. */
  leave(): void;
}

/** Joins a run; resolves when it starts. Throws Refused, or RunError where the keeper cannot be reached. */
export async function joinRun(options: JoinOptions): Promise<Membership> {
  const { peerDeadlineMs } = options;
  const keepers = options.streams
    ? oneKeeper(options.address)
    : await openKeepers(options.address, peerDeadlineMs);
  const { follow } = keepers;
  const token = follow ? randomUUID() : '';
  let welcome: WorkerWelcome__Output | undefined;
  let started = false;
  /** Of the workers, by rank. */
  const labels: string[] = [];
  let over = false;
  /** Number of the view under which this worker goes on. */
  let entered = 0;
  /** Of the last view that was told. */
  let term = 0;
  /** Why nothing can be asked any more. */
  let reason = new RunError(`the run with ${keepers.name} was left`);
  /** Since when this worker's share of an evaluation is given (ms, monotonic). */
  let sharedSince = 0;
  /** From there to the whole. */
  const usualShare = new Usual();
  let evaluated:
    | { part: EvaluationPart; resolve(evaluation: Evaluation__Output): void; reject(error: Error): void }
    | undefined;
  /** The last evaluation that was told. */
  let told: Evaluation__Output | undefined;
  let ended:
    | { done: Bytes & { steps: number }; resolve(bytes: Bytes): void; reject(error: Error): void }
    | undefined;

  return new Promise((resolve, reject) => {
    const finish = (outcome: RunError | Bytes) => {
      if (over) return;
      over = true;
      const error = outcome instanceof RunError ? outcome : undefined;
      reason = error ?? new RunError('the run has ended');
      stream.close();
      keepers.close();
      if (error) {
        if (!started) reject(error);
        else if (ended) ended.reject(error);
        else options.onLost(error);
        evaluated?.reject(error);
      } else {
        ended?.resolve(outcome as Bytes);
        evaluated?.reject(reason);
      }
    };
    const nameOf = (rank: number) => `worker ${rank} (${labels[rank] ?? 'unknown'})`;
    const awaitShares = ({ step, workers }: EvaluationWait__Output) => {
      const waitedMs = performance.now() - sharedSince;
      // What was told before the whole came, or of a share that has only been given.
      if (!evaluated || waitedMs < usualShare.deadlineMs) return;
      const { medianMs } = usualShare;
      options.onWaiting?.({
        step,
        seconds: waitedMs / 1000,
        ...(medianMs !== undefined && { usualSeconds: medianMs / 1000 }),
        server: options.address,
        workers: workers.map((rank) => `${nameOf(rank)}, whose share of the evaluation is missing`),
      });
    };
    /** Where this worker stood when the keeper was lost. */
    const standing = () => {
      if (!started) return '';
      if (ended)
        return `; this worker was done after ${ended.done.steps} steps, and waited for the others to be`;
      if (!evaluated) return options.doing ? `; this worker ${options.doing()}` : '';
      const waited = ((performance.now() - sharedSince) / 1000).toFixed(1);
      return `; this worker had waited for the others' shares of the evaluation at step ${evaluated.part.step} for ${waited} s, ${usually('that', usualShare)}`;
    };
    const membership = (view: View__Output, { run, rank }: WorkerWelcome__Output): Membership => ({
      run,
      rank,
      view,
      progress: (progress) => void (over || stream.write({ progress })),
      evaluate: (part) =>
        new Promise((resolvePart, rejectPart) => {
          if (over) return rejectPart(reason);
          evaluated = { part, resolve: resolvePart, reject: rejectPart };
          sharedSince = performance.now();
          stream.write({ evaluation: part });
        }),
      snapshot: (snapshot) => void (over || stream.write({ snapshot })),
      done: (done) =>
        new Promise((resolveEnd, rejectEnd) => {
          if (over) return rejectEnd(reason);
          ended = { done, resolve: resolveEnd, reject: rejectEnd };
          stream.write({ done });
        }),
      entered(number) {
        entered = number;
        if (!over) stream.write({ entered: { number } });
      },
      leave() {
        if (over) return;
        over = true;
        stream.close();
        keepers.close();
        evaluated?.reject(reason);
        ended?.reject(reason);
      },
    });
    const take = (order: WorkerOrder__Output) => {
      if (order.welcome) {
        welcome = order.welcome;
        if (!started) options.onWelcome(welcome);
      } else if (order.start?.view && welcome && !started) {
        started = true;
        entered = order.start.view.number;
        term = order.start.view.term;
        for (const { rank, label } of order.start.view.workers) labels[rank] = label;
        resolve(membership(order.start.view, welcome));
      } else if (order.hold) {
        const { number } = order.hold;
        // Whoever does not come so far as to hold has failed, and says so there.
        options.onHold?.().then(
          (step) => void (over || stream.write({ held: { number, step } })),
          () => undefined,
        );
      } else if (order.placed) {
        term = Math.max(term, order.placed.term);
        options.onPlaced?.(order.placed);
      } else if (order.view) {
        term = Math.max(term, order.view.term);
        options.onView?.(order.view);
      } else if (order.evaluation) {
        if (order.evaluation.records > 0) told = order.evaluation;
        if (evaluated) usualShare.observe(performance.now() - sharedSince);
        evaluated?.resolve(order.evaluation);
        evaluated = undefined;
      } else if (order.done) {
        options.onDone?.({ name: nameOf(order.done.rank), steps: order.done.steps });
      } else if (order.evaluationWait) {
        awaitShares(order.evaluationWait);
      } else if (order.snapshot) {
        options.onSnapshot?.(order.snapshot);
      } else if (order.ended) {
        const { failed, reason, bytesPushed, bytesPulled, bytesRetried } = order.ended;
        finish(
          failed ? new RunError(`the run has failed: ${reason}`) : { bytesPushed, bytesPulled, bytesRetried },
        );
      } else if (order.refusal) {
        finish(new Refused(order.refusal.code, order.refusal.sentence, keepers.name));
      }
    };
    const { run, spec, label } = options;
    const stream = new KeeperStream<WorkerReport, WorkerOrder__Output>({
      keepers,
      open(address) {
        const client = options.streams ?? connectMembership(address, peerDeadlineMs);
        const call = client.Work() as unknown as grpc.ClientDuplexStream<WorkerReport, WorkerOrder__Output>;
        return { call, close: () => client.close() };
      },
      hello: () => ({
        hello: {
          ...{ protocolVersion: PROTOCOL_VERSION, run, spec: toWire(spec), label, token },
          ...(started && welcome ? { back: { run: welcome.run, view: entered, term, evaluated: told } } : {}),
        },
      }),
      onOrder: take,
      // The keeper before may have died before it heard of it, or told it on.
      onBack() {
        if (started) stream.write({ entered: { number: entered } });
        if (evaluated) stream.write({ evaluation: { ...evaluated.part, again: true } });
        if (ended) stream.write({ done: ended.done });
      },
      onGone: (reason) =>
        finish(
          welcome
            ? new RunError(`${keepers.name} was lost: ${reason}${standing()}`)
            : new RunError(
                `cannot reach ${keepers.name}: ${reason}; start a server there, or check --${follow ? 'etcd' : 'join'}`,
              ),
        ),
      deadlineMs: peerDeadlineMs,
    });
  });
}

/** Asks the keeper once. @param place as in config/place.ts */
async function unary<T>(
  place: string,
  deadlineMs: number,
  ask: (
    client: ReturnType<typeof connectMembership>,
    deadline: Date,
    done: (error: grpc.ServiceError | null, reply?: T) => void,
  ) => void,
): Promise<T> {
  const address = await keeperOf(place, deadlineMs);
  const client = connectMembership(address, deadlineMs);
  return new Promise<T>((resolve, reject) => {
    ask(client, new Date(Date.now() + deadlineMs), (error, reply) => {
      client.close();
      if (error || !reply)
        reject(
          new RunError(
            `cannot reach the keeper at ${address}: ${error ? reasonOf(error) : 'no answer'}; start a server there, or check --${isInEtcd(place) ? 'etcd' : 'join'}`,
          ),
        );
      else resolve(reply);
    });
  });
}

/** Changes the rules of a running run (empty: the only one); resolves when it is decided from which step. */
export async function changeRules(
  address: string,
  request: { run: string; rules: Rules },
  deadlineMs: number,
): Promise<{ run: string; view: View__Output }> {
  const { run, rules } = request;
  const reply = await unary<ChangeReply__Output>(address, deadlineMs, (client, deadline, done) =>
    client.Change({ run, ...rulesToWire(rules) }, { deadline }, done),
  );
  if (reply.refusal || !reply.view)
    throw new Refused(
      reply.refusal?.code ?? 0,
      reply.refusal?.sentence ?? 'it answered without a view',
      `the keeper at ${address}`,
    );
  return { run: reply.run, view: reply.view };
}

/** Empties a server while runs go on; resolves when it holds nothing any more. Throws Refused or RunError. */
export async function drainServer(address: string, server: number, deadlineMs: number): Promise<void> {
  const { refusal } = await unary<DrainReply__Output>(address, deadlineMs, (client, deadline, done) =>
    client.Drain({ server }, { deadline }, done),
  );
  if (refusal) throw new Refused(refusal.code, refusal.sentence, `the keeper at ${address}`);
}

/** What goes on in a mesh. Throws RunError where the keeper cannot be reached. */
export function status(address: string, deadlineMs: number): Promise<StatusReply__Output> {
  return unary(address, deadlineMs, (client, deadline, done) => client.Status({}, { deadline }, done));
}

/** Spec and view of a running run (empty: the only one). Throws Refused or RunError. */
export async function describe(
  address: string,
  run: string,
  deadlineMs: number,
): Promise<DescribeReply__Output> {
  const reply = await unary<DescribeReply__Output>(address, deadlineMs, (client, deadline, done) =>
    client.Describe({ run }, { deadline }, done),
  );
  if (reply.refusal)
    throw new Refused(reply.refusal.code, reply.refusal.sentence, `the keeper at ${address}`);
  return reply;
}
