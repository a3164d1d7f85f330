// Original file: proto/gradloom/v1/membership.proto

import type { ServerHello as _gradloom_v1_ServerHello, ServerHello__Output as _gradloom_v1_ServerHello__Output } from '../../gradloom/v1/ServerHello.js';
import type { RunPrepared as _gradloom_v1_RunPrepared, RunPrepared__Output as _gradloom_v1_RunPrepared__Output } from '../../gradloom/v1/RunPrepared.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';
import type { ServerProgress as _gradloom_v1_ServerProgress, ServerProgress__Output as _gradloom_v1_ServerProgress__Output } from '../../gradloom/v1/ServerProgress.js';
import type { ViewTaken as _gradloom_v1_ViewTaken, ViewTaken__Output as _gradloom_v1_ViewTaken__Output } from '../../gradloom/v1/ViewTaken.js';
import type { WorkerFenced as _gradloom_v1_WorkerFenced, WorkerFenced__Output as _gradloom_v1_WorkerFenced__Output } from '../../gradloom/v1/WorkerFenced.js';
import type { WorkerOffends as _gradloom_v1_WorkerOffends, WorkerOffends__Output as _gradloom_v1_WorkerOffends__Output } from '../../gradloom/v1/WorkerOffends.js';
import type { SnapshotPart as _gradloom_v1_SnapshotPart, SnapshotPart__Output as _gradloom_v1_SnapshotPart__Output } from '../../gradloom/v1/SnapshotPart.js';
import type { ShardReplicated as _gradloom_v1_ShardReplicated, ShardReplicated__Output as _gradloom_v1_ShardReplicated__Output } from '../../gradloom/v1/ShardReplicated.js';
import type { BackupLost as _gradloom_v1_BackupLost, BackupLost__Output as _gradloom_v1_BackupLost__Output } from '../../gradloom/v1/BackupLost.js';
import type { ServerLeaving as _gradloom_v1_ServerLeaving, ServerLeaving__Output as _gradloom_v1_ServerLeaving__Output } from '../../gradloom/v1/ServerLeaving.js';
import type { CopyDiverged as _gradloom_v1_CopyDiverged, CopyDiverged__Output as _gradloom_v1_CopyDiverged__Output } from '../../gradloom/v1/CopyDiverged.js';
import type { ShardTimes as _gradloom_v1_ShardTimes, ShardTimes__Output as _gradloom_v1_ShardTimes__Output } from '../../gradloom/v1/ShardTimes.js';

export interface ServerReport {
  'hello'?: (_gradloom_v1_ServerHello | null);
  'prepared'?: (_gradloom_v1_RunPrepared | null);
  'refused'?: (_gradloom_v1_Refusal | null);
  'progress'?: (_gradloom_v1_ServerProgress | null);
  /**
   * Which run `prepared`, `refused`, `progress`, `taken` and `snapshot` speak of.
   */
  'run'?: (string);
  'taken'?: (_gradloom_v1_ViewTaken | null);
  'fenced'?: (_gradloom_v1_WorkerFenced | null);
  'offends'?: (_gradloom_v1_WorkerOffends | null);
  'snapshot'?: (_gradloom_v1_SnapshotPart | null);
  'replicated'?: (_gradloom_v1_ShardReplicated | null);
  'backupLost'?: (_gradloom_v1_BackupLost | null);
  /**
   * The server wants to go: as Drain, answered by `drained`.
   */
  'leaving'?: (_gradloom_v1_ServerLeaving | null);
  'diverged'?: (_gradloom_v1_CopyDiverged | null);
  'shardTimes'?: (_gradloom_v1_ShardTimes | null);
  'report'?: "hello"|"prepared"|"refused"|"progress"|"taken"|"fenced"|"offends"|"replicated"|"backupLost"|"leaving"|"diverged"|"shardTimes"|"snapshot";
}

export interface ServerReport__Output {
  'hello'?: (_gradloom_v1_ServerHello__Output | null);
  'prepared'?: (_gradloom_v1_RunPrepared__Output | null);
  'refused'?: (_gradloom_v1_Refusal__Output | null);
  'progress'?: (_gradloom_v1_ServerProgress__Output | null);
  /**
   * Which run `prepared`, `refused`, `progress`, `taken` and `snapshot` speak of.
   */
  'run': (string);
  'taken'?: (_gradloom_v1_ViewTaken__Output | null);
  'fenced'?: (_gradloom_v1_WorkerFenced__Output | null);
  'offends'?: (_gradloom_v1_WorkerOffends__Output | null);
  'snapshot'?: (_gradloom_v1_SnapshotPart__Output | null);
  'replicated'?: (_gradloom_v1_ShardReplicated__Output | null);
  'backupLost'?: (_gradloom_v1_BackupLost__Output | null);
  /**
   * The server wants to go: as Drain, answered by `drained`.
   */
  'leaving'?: (_gradloom_v1_ServerLeaving__Output | null);
  'diverged'?: (_gradloom_v1_CopyDiverged__Output | null);
  'shardTimes'?: (_gradloom_v1_ShardTimes__Output | null);
  'report'?: "hello"|"prepared"|"refused"|"progress"|"taken"|"fenced"|"offends"|"replicated"|"backupLost"|"leaving"|"diverged"|"shardTimes"|"snapshot";
}
