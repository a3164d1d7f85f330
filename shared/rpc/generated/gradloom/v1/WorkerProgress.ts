// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A sign of life of the compute thread, not only of the one that talks.
 */
export interface WorkerProgress {
  'step'?: (number | string | Long);
  'phase'?: (string);
  'secondsInPhase'?: (number | string);
}

/**
 * A sign of life of the compute thread, not only of the one that talks.
 */
export interface WorkerProgress__Output {
  'step': (number);
  'phase': (string);
  'secondsInPhase': (number);
}
