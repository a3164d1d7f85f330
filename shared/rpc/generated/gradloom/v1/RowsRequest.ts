// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Answered in the order of the requests, each when `step` steps are closed.
 */
export interface RowsRequest {
  'step'?: (number | string | Long);
  'table'?: (number);
  /**
   * In fp32, whatever the table's codec.
   */
  'exact'?: (boolean);
  /**
   * Strictly ascending.
   */
  'ids'?: (Buffer | Uint8Array | string);
}

/**
 * Answered in the order of the requests, each when `step` steps are closed.
 */
export interface RowsRequest__Output {
  'step': (number);
  'table': (number);
  /**
   * In fp32, whatever the table's codec.
   */
  'exact': (boolean);
  /**
   * Strictly ascending.
   */
  'ids': (Buffer);
}
