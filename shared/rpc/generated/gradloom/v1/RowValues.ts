// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Values of the rows that were asked for, in their order.
 */
export interface RowValues {
  /**
   * Steps closed when they were read.
   */
  'step'?: (number | string | Long);
  'table'?: (number);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum'?: (number);
  'payload'?: (Buffer | Uint8Array | string);
}

/**
 * Values of the rows that were asked for, in their order.
 */
export interface RowValues__Output {
  /**
   * Steps closed when they were read.
   */
  'step': (number);
  'table': (number);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum': (number);
  'payload': (Buffer);
}
