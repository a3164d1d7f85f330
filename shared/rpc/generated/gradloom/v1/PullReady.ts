// Original file: proto/gradloom/v1/parameters.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Answers hello, and again each subscribe: from then on nothing of the subscription is missed.
 */
export interface PullReady {
  /**
   * Steps decided so far.
   */
  'step'?: (number | string | Long);
}

/**
 * Answers hello, and again each subscribe: from then on nothing of the subscription is missed.
 */
export interface PullReady__Output {
  /**
   * Steps decided so far.
   */
  'step': (number);
}
