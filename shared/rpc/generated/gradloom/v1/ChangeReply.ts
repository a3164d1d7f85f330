// Original file: proto/gradloom/v1/membership.proto

import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from '../../gradloom/v1/View.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';

export interface ChangeReply {
  'run'?: (string);
  'view'?: (_gradloom_v1_View | null);
  /**
   * Set instead of the view where it cannot be.
   */
  'refusal'?: (_gradloom_v1_Refusal | null);
}

export interface ChangeReply__Output {
  'run': (string);
  'view': (_gradloom_v1_View__Output | null);
  /**
   * Set instead of the view where it cannot be.
   */
  'refusal': (_gradloom_v1_Refusal__Output | null);
}
