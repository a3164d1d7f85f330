// Original file: proto/gradloom/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

export interface ReplicaWithdrawn {
  'step'?: (number | string | Long);
}

export interface ReplicaWithdrawn__Output {
  'step': (number);
}
