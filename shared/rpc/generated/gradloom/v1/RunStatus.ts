// Original file: proto/gradloom/v1/membership.proto

import type { WorkerStatus as _gradloom_v1_WorkerStatus, WorkerStatus__Output as _gradloom_v1_WorkerStatus__Output } from '../../gradloom/v1/WorkerStatus.js';
import type { Consistency as _gradloom_v1_Consistency, Consistency__Output as _gradloom_v1_Consistency__Output } from '../../gradloom/v1/Consistency.js';
import type { ShardCopies as _gradloom_v1_ShardCopies, ShardCopies__Output as _gradloom_v1_ShardCopies__Output } from '../../gradloom/v1/ShardCopies.js';
import type { CopyDiverged as _gradloom_v1_CopyDiverged, CopyDiverged__Output as _gradloom_v1_CopyDiverged__Output } from '../../gradloom/v1/CopyDiverged.js';
import type { Straggler as _gradloom_v1_Straggler, Straggler__Output as _gradloom_v1_Straggler__Output } from '../../gradloom/v1/Straggler.js';
import type { Long } from '@grpc/proto-loader';

export interface RunStatus {
  'run'?: (string);
  'job'?: (string);
  /**
   * gathering, preparing, running
   */
  'state'?: (string);
  'workersExpected'?: (number);
  'workers'?: (_gradloom_v1_WorkerStatus)[];
  'step'?: (number | string | Long);
  'steps'?: (number | string | Long);
  /**
   * One sentence where somebody is waited for, else empty.
   */
  'waiting'?: (string);
  /**
   * Of the last view that was decided.
   */
  'view'?: (number);
  'fromStep'?: (number | string | Long);
  'consistency'?: (_gradloom_v1_Consistency);
  'staleness'?: (number);
  /**
   * Step of the newest whole snapshot and its folder; empty where there is none.
   */
  'snapshotStep'?: (number | string | Long);
  'snapshot'?: (string);
  /**
   * Who holds each shard, as in the view, and the view's term.
   */
  'shards'?: (_gradloom_v1_ShardCopies)[];
  'term'?: (number);
  /**
   * Blocks of copies that were others than their primary's and were sent again, and the last of them.
   */
  'divergences'?: (number | string | Long);
  'lastDivergence'?: (_gradloom_v1_CopyDiverged | null);
  /**
   * Who makes steps long; not there where nobody stands out from its peers.
   */
  'straggler'?: (_gradloom_v1_Straggler | null);
  /**
   * As the primaries of the shards have measured it, the longest: the median of the last steps, and how long one may last
   * before it is told who is waited for. 0: no step has ended, or the keeper has yet to hear of it.
   */
  'usualStepSeconds'?: (number | string);
  'noticeSeconds'?: (number | string);
}

export interface RunStatus__Output {
  'run': (string);
  'job': (string);
  /**
   * gathering, preparing, running
   */
  'state': (string);
  'workersExpected': (number);
  'workers': (_gradloom_v1_WorkerStatus__Output)[];
  'step': (number);
  'steps': (number);
  /**
   * One sentence where somebody is waited for, else empty.
   */
  'waiting': (string);
  /**
   * Of the last view that was decided.
   */
  'view': (number);
  'fromStep': (number);
  'consistency': (_gradloom_v1_Consistency__Output);
  'staleness': (number);
  /**
   * Step of the newest whole snapshot and its folder; empty where there is none.
   */
  'snapshotStep': (number);
  'snapshot': (string);
  /**
   * Who holds each shard, as in the view, and the view's term.
   */
  'shards': (_gradloom_v1_ShardCopies__Output)[];
  'term': (number);
  /**
   * Blocks of copies that were others than their primary's and were sent again, and the last of them.
   */
  'divergences': (number);
  'lastDivergence': (_gradloom_v1_CopyDiverged__Output | null);
  /**
   * Who makes steps long; not there where nobody stands out from its peers.
   */
  'straggler': (_gradloom_v1_Straggler__Output | null);
  /**
   * As the primaries of the shards have measured it, the longest: the median of the last steps, and how long one may last
   * before it is told who is waited for. 0: no step has ended, or the keeper has yet to hear of it.
   */
  'usualStepSeconds': (number);
  'noticeSeconds': (number);
}
