// Original file: proto/gradloom/v1/replication.proto

import type { ReplicaHello as _gradloom_v1_ReplicaHello, ReplicaHello__Output as _gradloom_v1_ReplicaHello__Output } from '../../gradloom/v1/ReplicaHello.js';
import type { ReplicaUpdate as _gradloom_v1_ReplicaUpdate, ReplicaUpdate__Output as _gradloom_v1_ReplicaUpdate__Output } from '../../gradloom/v1/ReplicaUpdate.js';
import type { ReplicaArray as _gradloom_v1_ReplicaArray, ReplicaArray__Output as _gradloom_v1_ReplicaArray__Output } from '../../gradloom/v1/ReplicaArray.js';
import type { StepOutcome as _gradloom_v1_StepOutcome, StepOutcome__Output as _gradloom_v1_StepOutcome__Output } from '../../gradloom/v1/StepOutcome.js';
import type { ReplicaCopied as _gradloom_v1_ReplicaCopied, ReplicaCopied__Output as _gradloom_v1_ReplicaCopied__Output } from '../../gradloom/v1/ReplicaCopied.js';

export interface ReplicaMessage {
  'hello'?: (_gradloom_v1_ReplicaHello | null);
  'update'?: (_gradloom_v1_ReplicaUpdate | null);
  'array'?: (_gradloom_v1_ReplicaArray | null);
  /**
   * The verdict on the open step; nothing of a skipped one follows.
   */
  'outcome'?: (_gradloom_v1_StepOutcome | null);
  'copied'?: (_gradloom_v1_ReplicaCopied | null);
  'message'?: "hello"|"update"|"array"|"outcome"|"copied";
}

export interface ReplicaMessage__Output {
  'hello'?: (_gradloom_v1_ReplicaHello__Output | null);
  'update'?: (_gradloom_v1_ReplicaUpdate__Output | null);
  'array'?: (_gradloom_v1_ReplicaArray__Output | null);
  /**
   * The verdict on the open step; nothing of a skipped one follows.
   */
  'outcome'?: (_gradloom_v1_StepOutcome__Output | null);
  'copied'?: (_gradloom_v1_ReplicaCopied__Output | null);
  'message'?: "hello"|"update"|"array"|"outcome"|"copied";
}
