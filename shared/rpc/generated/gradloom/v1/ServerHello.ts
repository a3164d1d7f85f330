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
  /**
   * It is a worker, too, and goes with it.
   */
  'peer'?: (boolean);
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
  /**
   * It is a worker, too, and goes with it.
   */
  'peer': (boolean);
}
