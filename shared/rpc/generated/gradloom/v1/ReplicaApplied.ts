// Original file: proto/gradloom/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

/**
 * So many of the messages after hello have been applied, in order.
 */
export interface ReplicaApplied {
  'messages'?: (number | string | Long);
}

/**
 * So many of the messages after hello have been applied, in order.
 */
export interface ReplicaApplied__Output {
  'messages': (number);
}
