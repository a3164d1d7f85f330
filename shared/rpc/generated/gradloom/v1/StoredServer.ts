// Original file: proto/gradloom/v1/coordination.proto

import type { Long } from '@grpc/proto-loader';

export interface StoredServer {
  'id'?: (number);
  'address'?: (string);
  'label'?: (string);
  'memoryBytes'?: (number | string | Long);
  /**
   * It is a worker, too, and goes with it.
   */
  'peer'?: (boolean);
}

export interface StoredServer__Output {
  'id': (number);
  'address': (string);
  'label': (string);
  'memoryBytes': (number);
  /**
   * It is a worker, too, and goes with it.
   */
  'peer': (boolean);
}
