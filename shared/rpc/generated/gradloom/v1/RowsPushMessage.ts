// Original file: proto/gradloom/v1/rows.proto

import type { Hello as _gradloom_v1_Hello, Hello__Output as _gradloom_v1_Hello__Output } from '../../gradloom/v1/Hello.js';
import type { StepHeader as _gradloom_v1_StepHeader, StepHeader__Output as _gradloom_v1_StepHeader__Output } from '../../gradloom/v1/StepHeader.js';
import type { RowsContribution as _gradloom_v1_RowsContribution, RowsContribution__Output as _gradloom_v1_RowsContribution__Output } from '../../gradloom/v1/RowsContribution.js';
import type { RowsEnd as _gradloom_v1_RowsEnd, RowsEnd__Output as _gradloom_v1_RowsEnd__Output } from '../../gradloom/v1/RowsEnd.js';

export interface RowsPushMessage {
  'hello'?: (_gradloom_v1_Hello | null);
  /**
   * The same as on Parameters.Push, so that a step is skipped there and here.
   */
  'header'?: (_gradloom_v1_StepHeader | null);
  'rows'?: (_gradloom_v1_RowsContribution | null);
  'end'?: (_gradloom_v1_RowsEnd | null);
  'message'?: "hello"|"header"|"rows"|"end";
}

export interface RowsPushMessage__Output {
  'hello'?: (_gradloom_v1_Hello__Output | null);
  /**
   * The same as on Parameters.Push, so that a step is skipped there and here.
   */
  'header'?: (_gradloom_v1_StepHeader__Output | null);
  'rows'?: (_gradloom_v1_RowsContribution__Output | null);
  'end'?: (_gradloom_v1_RowsEnd__Output | null);
  'message'?: "hello"|"header"|"rows"|"end";
}
