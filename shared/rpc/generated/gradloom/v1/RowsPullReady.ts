// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

export interface RowsPullReady {
  /**
   * Steps closed so far.
   */
  'step'?: (number | string | Long);
}

export interface RowsPullReady__Output {
  /**
   * Steps closed so far.
   */
  'step': (number);
}
