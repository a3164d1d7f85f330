// Original file: proto/gradloom/v1/membership.proto

import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';

export interface DrainReply {
  /**
   * Where it cannot be.
   */
  'refusal'?: (_gradloom_v1_Refusal | null);
}

export interface DrainReply__Output {
  /**
   * Where it cannot be.
   */
  'refusal': (_gradloom_v1_Refusal__Output | null);
}
