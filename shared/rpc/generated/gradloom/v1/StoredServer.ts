// Original file: proto/gradloom/v1/coordination.proto

import type { Long } from '@grpc/proto-loader';

export interface StoredServer {
  'id'?: (number);
  'address'?: (string);
  'label'?: (string);
  'memoryBytes'?: (number | string | Long);
}

export interface StoredServer__Output {
  'id': (number);
  'address': (string);
  'label': (string);
  'memoryBytes': (number);
}
