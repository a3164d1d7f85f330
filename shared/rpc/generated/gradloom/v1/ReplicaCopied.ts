// Original file: proto/gradloom/v1/replication.proto

import type { StepOutcome as _gradloom_v1_StepOutcome, StepOutcome__Output as _gradloom_v1_StepOutcome__Output } from '../../gradloom/v1/StepOutcome.js';
import type { Long } from '@grpc/proto-loader';

/**
 * All blocks have been sent, or kept.
 */
export interface ReplicaCopied {
  /**
   * Steps decided on all blocks.
   */
  'step'?: (number | string | Long);
  /**
   * The verdict on the last step that had one.
   */
  'outcome'?: (_gradloom_v1_StepOutcome | null);
}

/**
 * All blocks have been sent, or kept.
 */
export interface ReplicaCopied__Output {
  /**
   * Steps decided on all blocks.
   */
  'step': (number);
  /**
   * The verdict on the last step that had one.
   */
  'outcome': (_gradloom_v1_StepOutcome__Output | null);
}
