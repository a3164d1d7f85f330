// Original file: proto/gradloom/v1/replication.proto

import type { ReplicaHello as _gradloom_v1_ReplicaHello, ReplicaHello__Output as _gradloom_v1_ReplicaHello__Output } from '../../gradloom/v1/ReplicaHello.js';
import type { ReplicaUpdate as _gradloom_v1_ReplicaUpdate, ReplicaUpdate__Output as _gradloom_v1_ReplicaUpdate__Output } from '../../gradloom/v1/ReplicaUpdate.js';
import type { ReplicaArray as _gradloom_v1_ReplicaArray, ReplicaArray__Output as _gradloom_v1_ReplicaArray__Output } from '../../gradloom/v1/ReplicaArray.js';
import type { StepOutcome as _gradloom_v1_StepOutcome, StepOutcome__Output as _gradloom_v1_StepOutcome__Output } from '../../gradloom/v1/StepOutcome.js';
import type { ReplicaCopied as _gradloom_v1_ReplicaCopied, ReplicaCopied__Output as _gradloom_v1_ReplicaCopied__Output } from '../../gradloom/v1/ReplicaCopied.js';
import type { ReplicaWithdrawn as _gradloom_v1_ReplicaWithdrawn, ReplicaWithdrawn__Output as _gradloom_v1_ReplicaWithdrawn__Output } from '../../gradloom/v1/ReplicaWithdrawn.js';
import type { ReplicaCompare as _gradloom_v1_ReplicaCompare, ReplicaCompare__Output as _gradloom_v1_ReplicaCompare__Output } from '../../gradloom/v1/ReplicaCompare.js';
import type { ReplicaKept as _gradloom_v1_ReplicaKept, ReplicaKept__Output as _gradloom_v1_ReplicaKept__Output } from '../../gradloom/v1/ReplicaKept.js';
import type { ReplicaPart as _gradloom_v1_ReplicaPart, ReplicaPart__Output as _gradloom_v1_ReplicaPart__Output } from '../../gradloom/v1/ReplicaPart.js';

export interface ReplicaMessage {
  'hello'?: (_gradloom_v1_ReplicaHello | null);
  'update'?: (_gradloom_v1_ReplicaUpdate | null);
  'array'?: (_gradloom_v1_ReplicaArray | null);
  /**
   * The verdict on the open step; nothing of a skipped one follows.
   */
  'outcome'?: (_gradloom_v1_StepOutcome | null);
  'copied'?: (_gradloom_v1_ReplicaCopied | null);
  /**
   * What was done of a step is taken back, and will be done again.
   */
  'withdrawn'?: (_gradloom_v1_ReplicaWithdrawn | null);
  /**
   * Answered by `compared`: of the block as it is when all messages before this one have been applied.
   */
  'compare'?: (_gradloom_v1_ReplicaCompare | null);
  /**
   * A block that was compared before all is copied stays as it is.
   */
  'kept'?: (_gradloom_v1_ReplicaKept | null);
  'part'?: (_gradloom_v1_ReplicaPart | null);
  'message'?: "hello"|"update"|"array"|"outcome"|"copied"|"withdrawn"|"compare"|"kept"|"part";
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
  /**
   * What was done of a step is taken back, and will be done again.
   */
  'withdrawn'?: (_gradloom_v1_ReplicaWithdrawn__Output | null);
  /**
   * Answered by `compared`: of the block as it is when all messages before this one have been applied.
   */
  'compare'?: (_gradloom_v1_ReplicaCompare__Output | null);
  /**
   * A block that was compared before all is copied stays as it is.
   */
  'kept'?: (_gradloom_v1_ReplicaKept__Output | null);
  'part'?: (_gradloom_v1_ReplicaPart__Output | null);
  'message'?: "hello"|"update"|"array"|"outcome"|"copied"|"withdrawn"|"compare"|"kept"|"part";
}
