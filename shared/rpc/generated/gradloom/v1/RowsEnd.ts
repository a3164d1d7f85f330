// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The worker has sent all that it has of a step: `contributions` of them; also where there are none.
 */
export interface RowsEnd {
  'step'?: (number | string | Long);
  'contributions'?: (number);
}

/**
 * The worker has sent all that it has of a step: `contributions` of them; also where there are none.
 */
export interface RowsEnd__Output {
  'step': (number);
  'contributions': (number);
}
