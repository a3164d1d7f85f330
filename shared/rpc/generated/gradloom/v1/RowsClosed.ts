// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

/**
 * All workers' rows of the step are applied here, or it was skipped.
 */
export interface RowsClosed {
  'step'?: (number | string | Long);
  'skipped'?: (boolean);
}

/**
 * All workers' rows of the step are applied here, or it was skipped.
 */
export interface RowsClosed__Output {
  'step': (number);
  'skipped': (boolean);
}
