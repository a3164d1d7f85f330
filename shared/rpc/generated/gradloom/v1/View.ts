// Original file: proto/gradloom/v1/model.proto

import type { ServerInfo as _gradloom_v1_ServerInfo, ServerInfo__Output as _gradloom_v1_ServerInfo__Output } from '../../gradloom/v1/ServerInfo.js';
import type { WorkerInfo as _gradloom_v1_WorkerInfo, WorkerInfo__Output as _gradloom_v1_WorkerInfo__Output } from '../../gradloom/v1/WorkerInfo.js';
import type { Consistency as _gradloom_v1_Consistency, Consistency__Output as _gradloom_v1_Consistency__Output } from '../../gradloom/v1/Consistency.js';
import type { Departure as _gradloom_v1_Departure, Departure__Output as _gradloom_v1_Departure__Output } from '../../gradloom/v1/Departure.js';
import type { ShardCopies as _gradloom_v1_ShardCopies, ShardCopies__Output as _gradloom_v1_ShardCopies__Output } from '../../gradloom/v1/ShardCopies.js';
import type { Long } from '@grpc/proto-loader';

/**
 * A numbered membership of a run, with the placement, and the step from which it holds.
 */
export interface View {
  'number'?: (number);
  'fromStep'?: (number | string | Long);
  'servers'?: (_gradloom_v1_ServerInfo)[];
  'workers'?: (_gradloom_v1_WorkerInfo)[];
  /**
   * Owner of each block in canonical order: an index into `servers`.
   */
  'placement'?: (number)[];
  /**
   * Owner of each partition of rows, the same for every table: an index into `servers`. Row r is in partition
   * r mod (number of partitions). Empty where the run has no tables.
   */
  'rowPlacement'?: (number)[];
  /**
   * The consistency in force from `from_step` on, and with CONSISTENCY_SSP its bound, as in RunSpec.
   */
  'consistency'?: (_gradloom_v1_Consistency);
  'staleness'?: (number);
  /**
   * Where it was made because a worker has left: which. `workers` are those who go on; ranks stay as they were.
   */
  'departed'?: (_gradloom_v1_Departure | null);
  /**
   * Who holds each shard, where shards are named by the indices in `placement`. Empty: shard i is on `servers[i]`, alone.
   */
  'shards'?: (_gradloom_v1_ShardCopies)[];
  /**
   * Counts the changes of `shards`, whatever `number` does: a server that dies is replaced in the middle of a step.
   */
  'term'?: (number);
}

/**
 * A numbered membership of a run, with the placement, and the step from which it holds.
 */
export interface View__Output {
  'number': (number);
  'fromStep': (number);
  'servers': (_gradloom_v1_ServerInfo__Output)[];
  'workers': (_gradloom_v1_WorkerInfo__Output)[];
  /**
   * Owner of each block in canonical order: an index into `servers`.
   */
  'placement': (number)[];
  /**
   * Owner of each partition of rows, the same for every table: an index into `servers`. Row r is in partition
   * r mod (number of partitions). Empty where the run has no tables.
   */
  'rowPlacement': (number)[];
  /**
   * The consistency in force from `from_step` on, and with CONSISTENCY_SSP its bound, as in RunSpec.
   */
  'consistency': (_gradloom_v1_Consistency__Output);
  'staleness': (number);
  /**
   * Where it was made because a worker has left: which. `workers` are those who go on; ranks stay as they were.
   */
  'departed': (_gradloom_v1_Departure__Output | null);
  /**
   * Who holds each shard, where shards are named by the indices in `placement`. Empty: shard i is on `servers[i]`, alone.
   */
  'shards': (_gradloom_v1_ShardCopies__Output)[];
  /**
   * Counts the changes of `shards`, whatever `number` does: a server that dies is replaced in the middle of a step.
   */
  'term': (number);
}
