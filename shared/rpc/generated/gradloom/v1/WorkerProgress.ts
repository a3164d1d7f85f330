// Original file: proto/gradloom/v1/membership.proto

import type { StepTimes as _gradloom_v1_StepTimes, StepTimes__Output as _gradloom_v1_StepTimes__Output } from '../../gradloom/v1/StepTimes.js';
import type { Long } from '@grpc/proto-loader';

/**
 * A sign of life of the compute thread, not only of the one that talks.
 */
export interface WorkerProgress {
  'step'?: (number | string | Long);
  'phase'?: (string);
  'secondsInPhase'?: (number | string);
  'times'?: (_gradloom_v1_StepTimes | null);
}

/**
 * A sign of life of the compute thread, not only of the one that talks.
 */
export interface WorkerProgress__Output {
  'step': (number);
  'phase': (string);
  'secondsInPhase': (number);
  'times': (_gradloom_v1_StepTimes__Output | null);
}
