// Original file: proto/gradloom/v1/parameters.proto

import type { Hello as _gradloom_v1_Hello, Hello__Output as _gradloom_v1_Hello__Output } from '../../gradloom/v1/Hello.js';
import type { StepHeader as _gradloom_v1_StepHeader, StepHeader__Output as _gradloom_v1_StepHeader__Output } from '../../gradloom/v1/StepHeader.js';
import type { Contribution as _gradloom_v1_Contribution, Contribution__Output as _gradloom_v1_Contribution__Output } from '../../gradloom/v1/Contribution.js';

export interface PushMessage {
  'hello'?: (_gradloom_v1_Hello | null);
  'header'?: (_gradloom_v1_StepHeader | null);
  'contribution'?: (_gradloom_v1_Contribution | null);
  /**
   * Initial values of a block, at step 0, by the worker of rank 0; fp32 only.
   */
  'initial'?: (_gradloom_v1_Contribution | null);
  'message'?: "hello"|"header"|"contribution"|"initial";
}

export interface PushMessage__Output {
  'hello'?: (_gradloom_v1_Hello__Output | null);
  'header'?: (_gradloom_v1_StepHeader__Output | null);
  'contribution'?: (_gradloom_v1_Contribution__Output | null);
  /**
   * Initial values of a block, at step 0, by the worker of rank 0; fp32 only.
   */
  'initial'?: (_gradloom_v1_Contribution__Output | null);
  'message'?: "hello"|"header"|"contribution"|"initial";
}
