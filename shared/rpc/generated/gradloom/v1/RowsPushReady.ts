// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

export interface RowsPushReady {
  /**
   * Bytes of ids and payload that may be in flight without having been released.
   */
  'creditBytes'?: (number | string | Long);
  /**
   * Steps closed so far.
   */
  'step'?: (number | string | Long);
}

export interface RowsPushReady__Output {
  /**
   * Bytes of ids and payload that may be in flight without having been released.
   */
  'creditBytes': (number);
  /**
   * Steps closed so far.
   */
  'step': (number);
}
