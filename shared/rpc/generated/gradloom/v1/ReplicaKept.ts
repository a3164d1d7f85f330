// Original file: proto/gradloom/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Instead of the arrays of a block that is equal.
 */
export interface ReplicaKept {
  'block'?: (number);
  /**
   * Steps decided on the block.
   */
  'step'?: (number | string | Long);
}

/**
 * Instead of the arrays of a block that is equal.
 */
export interface ReplicaKept__Output {
  'block': (number);
  /**
   * Steps decided on the block.
   */
  'step': (number);
}
