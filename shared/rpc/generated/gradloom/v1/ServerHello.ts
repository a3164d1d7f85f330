// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

export interface ServerHello {
  'protocolVersion'?: (number);
  /**
   * Where workers reach this server.
   */
  'address'?: (string);
  /**
   * Bytes of memory for shards.
   */
  'memoryBytes'?: (number | string | Long);
  'label'?: (string);
}

export interface ServerHello__Output {
  'protocolVersion': (number);
  /**
   * Where workers reach this server.
   */
  'address': (string);
  /**
   * Bytes of memory for shards.
   */
  'memoryBytes': (number);
  'label': (string);
}
