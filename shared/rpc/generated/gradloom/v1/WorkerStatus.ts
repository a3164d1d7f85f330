// Original file: proto/gradloom/v1/membership.proto

import type { WorkerInfo as _gradloom_v1_WorkerInfo, WorkerInfo__Output as _gradloom_v1_WorkerInfo__Output } from '../../gradloom/v1/WorkerInfo.js';
import type { StepTimes as _gradloom_v1_StepTimes, StepTimes__Output as _gradloom_v1_StepTimes__Output } from '../../gradloom/v1/StepTimes.js';
import type { Long } from '@grpc/proto-loader';

export interface WorkerStatus {
  'info'?: (_gradloom_v1_WorkerInfo | null);
  'step'?: (number | string | Long);
  'phase'?: (string);
  'secondsInPhase'?: (number | string);
  'times'?: (_gradloom_v1_StepTimes | null);
  /**
   * Since its last sign of life.
   */
  'secondsSilent'?: (number | string);
}

export interface WorkerStatus__Output {
  'info': (_gradloom_v1_WorkerInfo__Output | null);
  'step': (number);
  'phase': (string);
  'secondsInPhase': (number);
  'times': (_gradloom_v1_StepTimes__Output | null);
  /**
   * Since its last sign of life.
   */
  'secondsSilent': (number);
}
