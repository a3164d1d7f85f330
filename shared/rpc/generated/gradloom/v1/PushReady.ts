// Original file: proto/gradloom/v1/parameters.proto

import type { Long } from '@grpc/proto-loader';

export interface PushReady {
  /**
   * Payload bytes that may be in flight without having been released.
   */
  'creditBytes'?: (number | string | Long);
}

export interface PushReady__Output {
  /**
   * Payload bytes that may be in flight without having been released.
   */
  'creditBytes': (number);
}
