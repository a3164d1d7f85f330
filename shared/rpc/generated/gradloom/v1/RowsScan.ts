// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Asks for the rows of a table on this server that some step has updated, in ascending order of their ids. Answered in
 * the order of scans and requests, when `step` steps are closed.
 */
export interface RowsScan {
  'step'?: (number | string | Long);
  'table'?: (number);
  /**
   * The first id that may be in the answer.
   */
  'from'?: (number | string | Long);
}

/**
 * Asks for the rows of a table on this server that some step has updated, in ascending order of their ids. Answered in
 * the order of scans and requests, when `step` steps are closed.
 */
export interface RowsScan__Output {
  'step': (number);
  'table': (number);
  /**
   * The first id that may be in the answer.
   */
  'from': (number);
}
