// Original file: proto/gradloom/v1/replication.proto

import type { ReplicaHello as _gradloom_v1_ReplicaHello, ReplicaHello__Output as _gradloom_v1_ReplicaHello__Output } from '../../gradloom/v1/ReplicaHello.js';
import type { ReplicaUpdate as _gradloom_v1_ReplicaUpdate, ReplicaUpdate__Output as _gradloom_v1_ReplicaUpdate__Output } from '../../gradloom/v1/ReplicaUpdate.js';
import type { ReplicaArray as _gradloom_v1_ReplicaArray, ReplicaArray__Output as _gradloom_v1_ReplicaArray__Output } from '../../gradloom/v1/ReplicaArray.js';
import type { StepOutcome as _gradloom_v1_StepOutcome, StepOutcome__Output as _gradloom_v1_StepOutcome__Output } from '../../gradloom/v1/StepOutcome.js';
import type { ReplicaCopied as _gradloom_v1_ReplicaCopied, ReplicaCopied__Output as _gradloom_v1_ReplicaCopied__Output } from '../../gradloom/v1/ReplicaCopied.js';
import type { ReplicaWithdrawn as _gradloom_v1_ReplicaWithdrawn, ReplicaWithdrawn__Output as _gradloom_v1_ReplicaWithdrawn__Output } from '../../gradloom/v1/ReplicaWithdrawn.js';

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
  'message'?: "hello"|"update"|"array"|"outcome"|"copied"|"withdrawn";
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
  'message'?: "hello"|"update"|"array"|"outcome"|"copied"|"withdrawn";
}
