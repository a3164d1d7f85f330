// What the client SDK takes and gives: the options of `connect`, and the four verbs push, pull, pushPull and wait.
import type { TensorSpec } from '../blocks/manifest.js';
import type { CodecName, DirectCodecName } from '../codec/codec.js';
import type { CodecOptions } from '../codec/codec-options.js';
import type { OptimizerSpec } from '../optimizer/spec.js';
import type { RowTableSpec } from '../rows/tables.js';
import type { ConsistencyName } from '../run/spec.js';
import type { WaitTold } from './exchange-options.js';
import type { Rows, TableOptions } from './sdk-tables.js';

/** Whom a client waits for, for how long by now, and how long that usually takes. */
export type Waiting = WaitTold;

/** Values by tensor name: fp32, row-major. */
export type Tensors = Record<string, Float32Array>;

export interface ConnectOptions extends CodecOptions {
  /** HOST:PORT of the first server, or etcd://HOST:PORT,…/MESH. */
  join: string;
  /** Id of the run; by default the one of this job that waits for workers, or (without tensors) the only one. */
  run?: string;
  /** The model, in an order that is the same for every worker. Without it the client only pulls. */
  tensors?: readonly { name: string; shape: readonly number[]; values: Float32Array }[];
  /** Embedding tables, which live on the servers alone and are pushed and pulled by row; with consistency bsp. */
  tables?: readonly TableOptions[];
  /** Of the initial values of tables. Default 0. */
  seed?: number;
  /** Name of what is trained; workers of one run give the same. */
  job?: string;
  /** A name, with that optimizer's defaults, or all of it: see OptimizerSpec. Default: adam. */
  optimizer?: OptimizerSpec['kind'] | OptimizerSpec;
  /** Beside the name of an optimizer; default 0.001. */
  learningRate?: number;
  codec?: CodecName;
  /** Largest magnitude of an element of a contribution that servers take; by default any. */
  gradientLimit?: number;
  /** Servers that hold each part of the model; default two, where there are as many and the run can be replicated. */
  replicas?: number;
  /** Which workers a step waits for. Default bsp: for all. */
  consistency?: ConsistencyName;
  /** With ssp: steps that a worker may be ahead of the slowest. */
  staleness?: number;
  /** Workers that the run waits for; `connect` resolves when all are there. */
  workers?: number;
  /** Silence after which a server is given up, in milliseconds. */
  peerDeadlineMs?: number;
  /**
   * Called while a call of this client waits for others for longer than is usual, and then every second: whom it waits for,
   * at which step, since when. Of the shards that many wait for, each says so.
   */
  onWaiting?(waiting: Waiting): void;
}

export interface Outcome {
  /** The step's index, from 0. */
  step: number;
  /** True: some worker's gradients (under ssp and asp: this one's) were not finite, and the step changed nothing. */
  skipped: boolean;
  /** Over all workers; under ssp and asp, as the loss, of this worker's own step. */
  samples: number;
  /** Mean over the samples; 0 where nobody gave a loss. */
  loss: number;
}

export interface Pulled {
  values: Tensors;
  /** Steps that the oldest of the values had seen. */
  step: number;
  /** Steps that the newest of them is ahead of the oldest; 0: one version. */
  skew: number;
}

export interface PushOptions {
  /** Samples behind the mean gradient: its weight among the workers'. Default 1. */
  samples?: number;
  /** Mean loss over the samples, for the servers' metrics. */
  loss?: number;
  /** Mean gradients of rows, by the name of their table: of the same step, which is skipped as a whole. */
  rows?: Readonly<Record<string, Rows>>;
}

/** A row for each id that was asked for, in their order. */
export interface PulledRows {
  values: Float32Array;
  /** Steps that the oldest of the rows had seen. */
  step: number;
  /** Steps that the newest of them is ahead of the oldest; 0: one version. */
  skew: number;
}

export interface Client {
  readonly run: string;
  /** Rank among the run's workers; undefined for a client that only pulls. */
  readonly rank: number | undefined;
  readonly tensors: readonly TensorSpec[];
  readonly tables: readonly RowTableSpec[];
  /**
   * Hands over this worker's mean gradients of a step and returns the step's index at once. The arrays are read
   * until `wait` of that step resolves. Tensors that are left out have a gradient of zero. Throws UserError.
   */
  push(gradients: Tensors, options?: PushOptions): number;
  /** Resolves when a step is decided on all servers. Throws RunError where a server is lost. */
  wait(step: number): Promise<Outcome>;
  /**
   * Parameters at one version (under ssp and asp: not older than a worker may read, with their skew): all, or those named; in
   * the run's codec (a lossy one: exactly), or exactly with `codec: 'fp32'`.
   */
  pull(names?: readonly string[], options?: { codec?: DirectCodecName }): Promise<Pulled>;
  /** `push`, `wait` and the new parameters, in one exchange. */
  pushPull(gradients: Tensors, options?: PushOptions): Promise<Pulled & { outcome: Outcome }>;
  /**
   * Rows of a table by id, with the updates of all steps pushed before: in the table's codec, or exactly with
   * `codec: 'fp32'`. An id may come more than once and travels once. Throws UserError for an id that is out of range.
   */
  pullRows(table: string, ids: ArrayLike<number>, options?: { codec?: 'fp32' }): Promise<PulledRows>;
  /**
   * Ends this client's part. A worker's resolves when all workers of the run have closed. A step of another that would
   * need more of this one fails with a RunError that says so: under bsp all take the same number of steps.
   */
  close(): Promise<void>;
}
