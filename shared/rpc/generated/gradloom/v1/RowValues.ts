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
   * CRC-32 (IEEE 802.3) of payload.
   */
  'crc32'?: (number);
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
   * CRC-32 (IEEE 802.3) of payload.
   */
  'crc32': (number);
  'payload': (Buffer);
}
