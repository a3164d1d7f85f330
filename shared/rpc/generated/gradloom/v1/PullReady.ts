// Original file: proto/gradloom/v1/parameters.proto

import type { Long } from '@grpc/proto-loader';

export interface PullReady {
  /**
   * Steps decided so far.
   */
  'step'?: (number | string | Long);
}

export interface PullReady__Output {
  /**
   * Steps decided so far.
   */
  'step': (number);
}
