// Original file: proto/gradloom/v1/membership.proto

import type { RunSpec as _gradloom_v1_RunSpec, RunSpec__Output as _gradloom_v1_RunSpec__Output } from '../../gradloom/v1/RunSpec.js';
import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from '../../gradloom/v1/View.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';

export interface DescribeReply {
  'run'?: (string);
  'spec'?: (_gradloom_v1_RunSpec | null);
  'view'?: (_gradloom_v1_View | null);
  /**
   * Set instead of the rest where there is no such run.
   */
  'refusal'?: (_gradloom_v1_Refusal | null);
}

export interface DescribeReply__Output {
  'run': (string);
  'spec': (_gradloom_v1_RunSpec__Output | null);
  'view': (_gradloom_v1_View__Output | null);
  /**
   * Set instead of the rest where there is no such run.
   */
  'refusal': (_gradloom_v1_Refusal__Output | null);
}
