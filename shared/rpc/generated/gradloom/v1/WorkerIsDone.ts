// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Another worker takes no more steps: whoever would need more of it waits in vain.
 */
export interface WorkerIsDone {
  'rank'?: (number);
  'steps'?: (number | string | Long);
}

/**
 * Another worker takes no more steps: whoever would need more of it waits in vain.
 */
export interface WorkerIsDone__Output {
  'rank': (number);
  'steps': (number);
}
