// What the keeper knows of one run: its workers and servers, its view, the next view on its way, the evaluation under
// way. And what it orders whom. The rooms next to this file are functions over these.
import type { ChangeReply } from '../../shared/rpc/generated/gradloom/v1/ChangeReply.js';
import type { CopyDiverged } from '../../shared/rpc/generated/gradloom/v1/CopyDiverged.js';
import type { DrainReply } from '../../shared/rpc/generated/gradloom/v1/DrainReply.js';
import type { ServerOrder } from '../../shared/rpc/generated/gradloom/v1/ServerOrder.js';
import type { View } from '../../shared/rpc/generated/gradloom/v1/View.js';
import type { WorkerOrder } from '../../shared/rpc/generated/gradloom/v1/WorkerOrder.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import type { ShardCopies } from '../../shared/view.js';
import type { ServerWait } from '../server-waits.js';
import { shardBytes } from '../shard-memory.js';
import type { Leaving, ViewChange } from '../view-change.js';

export interface ServerEntry {
  readonly connection: number;
  readonly id: number;
  readonly address: string;
  readonly label: string;
  readonly memoryBytes: number;
  /** It is a worker, too, and goes with it. */
  readonly peer: boolean;
}

/** Phase of a worker that has joined, and told nothing since. */
export const NOT_HEARD_OF = 'join';

export interface WorkerEntry {
  readonly connection: number;
  readonly rank: number;
  readonly label: string;
  step: number;
  phase: string;
  secondsInPhase: number;
  /** Mean of its last steps; left out before it has told of one. */
  stepSeconds?: number;
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

export interface EvaluationPart {
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
  /** Blocks of copies that were not equal to their primary's, as told to the keepers so far. */
  divergences?: { readonly count: number; readonly last: CopyDiverged };
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

/** A run that has a view. */
export type PlacedRun = Run & { view: NonNullable<Run['view']> };

export type Order =
  | { to: 'server'; connection: number; order: ServerOrder }
  | { to: 'worker'; connection: number; order: WorkerOrder }
  /** Answers a call of `Change` or `Drain`. */
  | { to: 'caller'; connection: number; order: ChangeReply | DrainReply };

/** Whether somebody was here under the keeper before and has not come back. */
export function isAbsent({ connection }: { connection: number }): boolean {
  return connection < 0;
}

/** A server as a view names it. */
export const infoOf = ({ id, address }: ServerEntry) => ({ id, address, weight: 1 });

/** Bytes that one copy of a shard takes. */
export function shardBytesOf({ spec, view }: Run, shard: number): number {
  const blocks = layoutOf(spec).blocks.filter((block) => view?.placement?.[block.index] === shard);
  return shardBytes(blocks, spec.optimizer, spec.codec, spec.elastic);
}

export function toServers(run: Run, order: ServerOrder): Order[] {
  return run.servers.map(({ connection }) => ({ to: 'server', connection, order }));
}

export function toWorkers(run: Run, order: WorkerOrder): Order[] {
  return run.workers.map(({ connection }) => ({ to: 'worker', connection, order }));
}

/** Of a view that is proposed now. */
export function nextNumber(run: Run): number {
  run.proposed = Math.max(run.view?.number ?? 0, run.proposed ?? 0) + 1;
  return run.proposed;
}

/** Whether some worker has yet to come under the view: until then shards may go by rules under which nothing is copied. */
export function isBetweenViews({ workers, view }: Run): boolean {
  return workers.some((worker) => worker.view < (view?.number ?? 0));
}

/** The step of the slowest worker. */
export function stepOf(run: Run): number {
  return run.workers.length === 0 ? 0 : Math.min(...run.workers.map(({ step }) => step));
}
