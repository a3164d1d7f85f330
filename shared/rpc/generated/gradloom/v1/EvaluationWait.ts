// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Told every second to whoever has given its share of an evaluation: the ranks whose shares are missing.
 */
export interface EvaluationWait {
  'step'?: (number | string | Long);
  'workers'?: (number)[];
}

/**
 * Told every second to whoever has given its share of an evaluation: the ranks whose shares are missing.
 */
export interface EvaluationWait__Output {
  'step': (number);
  'workers': (number)[];
}
