// Original file: proto/gradloom/v1/model.proto

import type { ScheduleKind as _gradloom_v1_ScheduleKind, ScheduleKind__Output as _gradloom_v1_ScheduleKind__Output } from '../../gradloom/v1/ScheduleKind.js';
import type { Long } from '@grpc/proto-loader';

/**
 * The learning rate as a function of the run's step. It rises linearly to the optimizer's own in `warmup_steps`
 * steps; the decay counts from there.
 */
export interface Schedule {
  'kind'?: (_gradloom_v1_ScheduleKind);
  'warmupSteps'?: (number | string | Long);
  'decaySteps'?: (number | string | Long);
  'decayRate'?: (number | string);
  'decayEnd'?: (number | string);
  'decayPower'?: (number | string);
}

/**
 * The learning rate as a function of the run's step. It rises linearly to the optimizer's own in `warmup_steps`
 * steps; the decay counts from there.
 */
export interface Schedule__Output {
  'kind': (_gradloom_v1_ScheduleKind__Output);
  'warmupSteps': (number);
  'decaySteps': (number);
  'decayRate': (number);
  'decayEnd': (number);
  'decayPower': (number);
}
