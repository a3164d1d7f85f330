// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

/**
 * As many as fit into a message; also none, where many rows in a row have their initial values.
 */
export interface ScannedRows {
  /**
   * Steps closed when they were read.
   */
  'step'?: (number | string | Long);
  'table'?: (number);
  /**
   * Where the next scan goes on: all updated rows below it have been told. RowTable.rows: the table is at its end.
   */
  'next'?: (number | string | Long);
  /**
   * Updated rows of the table on this server, told or not.
   */
  'updated'?: (number | string | Long);
  /**
   * The low 32 bits of the XXH64 (seed 0) of ids and, behind them, payload.
   */
  'checksum'?: (number);
  'ids'?: (Buffer | Uint8Array | string);
  /**
   * In fp32.
   */
  'payload'?: (Buffer | Uint8Array | string);
}

/**
 * As many as fit into a message; also none, where many rows in a row have their initial values.
 */
export interface ScannedRows__Output {
  /**
   * Steps closed when they were read.
   */
  'step': (number);
  'table': (number);
  /**
   * Where the next scan goes on: all updated rows below it have been told. RowTable.rows: the table is at its end.
   */
  'next': (number);
  /**
   * Updated rows of the table on this server, told or not.
   */
  'updated': (number);
  /**
   * The low 32 bits of the XXH64 (seed 0) of ids and, behind them, payload.
   */
  'checksum': (number);
  'ids': (Buffer);
  /**
   * In fp32.
   */
  'payload': (Buffer);
}
