// Original file: proto/gradloom/v1/membership.proto

import type { WorkerHello as _gradloom_v1_WorkerHello, WorkerHello__Output as _gradloom_v1_WorkerHello__Output } from '../../gradloom/v1/WorkerHello.js';
import type { WorkerProgress as _gradloom_v1_WorkerProgress, WorkerProgress__Output as _gradloom_v1_WorkerProgress__Output } from '../../gradloom/v1/WorkerProgress.js';
import type { EvaluationPart as _gradloom_v1_EvaluationPart, EvaluationPart__Output as _gradloom_v1_EvaluationPart__Output } from '../../gradloom/v1/EvaluationPart.js';
import type { RunDone as _gradloom_v1_RunDone, RunDone__Output as _gradloom_v1_RunDone__Output } from '../../gradloom/v1/RunDone.js';
import type { ViewHeld as _gradloom_v1_ViewHeld, ViewHeld__Output as _gradloom_v1_ViewHeld__Output } from '../../gradloom/v1/ViewHeld.js';
import type { ViewEntered as _gradloom_v1_ViewEntered, ViewEntered__Output as _gradloom_v1_ViewEntered__Output } from '../../gradloom/v1/ViewEntered.js';
import type { SnapshotPart as _gradloom_v1_SnapshotPart, SnapshotPart__Output as _gradloom_v1_SnapshotPart__Output } from '../../gradloom/v1/SnapshotPart.js';

export interface WorkerReport {
  'hello'?: (_gradloom_v1_WorkerHello | null);
  'progress'?: (_gradloom_v1_WorkerProgress | null);
  'evaluation'?: (_gradloom_v1_EvaluationPart | null);
  'done'?: (_gradloom_v1_RunDone | null);
  'held'?: (_gradloom_v1_ViewHeld | null);
  'entered'?: (_gradloom_v1_ViewEntered | null);
  'snapshot'?: (_gradloom_v1_SnapshotPart | null);
  'report'?: "hello"|"progress"|"evaluation"|"done"|"held"|"entered"|"snapshot";
}

export interface WorkerReport__Output {
  'hello'?: (_gradloom_v1_WorkerHello__Output | null);
  'progress'?: (_gradloom_v1_WorkerProgress__Output | null);
  'evaluation'?: (_gradloom_v1_EvaluationPart__Output | null);
  'done'?: (_gradloom_v1_RunDone__Output | null);
  'held'?: (_gradloom_v1_ViewHeld__Output | null);
  'entered'?: (_gradloom_v1_ViewEntered__Output | null);
  'snapshot'?: (_gradloom_v1_SnapshotPart__Output | null);
  'report'?: "hello"|"progress"|"evaluation"|"done"|"held"|"entered"|"snapshot";
}
