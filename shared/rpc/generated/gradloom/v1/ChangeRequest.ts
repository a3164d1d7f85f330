// Original file: proto/gradloom/v1/membership.proto

import type { Consistency as _gradloom_v1_Consistency, Consistency__Output as _gradloom_v1_Consistency__Output } from '../../gradloom/v1/Consistency.js';

/**
 * An empty run: the only one that is running.
 */
export interface ChangeRequest {
  'run'?: (string);
  'consistency'?: (_gradloom_v1_Consistency);
  /**
   * CONSISTENCY_SSP: as in RunSpec.
   */
  'staleness'?: (number);
}

/**
 * An empty run: the only one that is running.
 */
export interface ChangeRequest__Output {
  'run': (string);
  'consistency': (_gradloom_v1_Consistency__Output);
  /**
   * CONSISTENCY_SSP: as in RunSpec.
   */
  'staleness': (number);
}
