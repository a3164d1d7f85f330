// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Mean gradients of rows of one table, by one worker at one step. A step's contributions to a server are numbered
 * from 0 and come in that order; (table, id) rises strictly over all of them, so a row is in one of them at most:
 * a worker adds up what its batch has of a row before it pushes.
 */
export interface RowsContribution {
  'step'?: (number | string | Long);
  /**
   * Index into RunSpec.tables.
   */
  'table'?: (number);
  'number'?: (number);
  /**
   * The low 32 bits of the XXH64 (seed 0) of ids and, behind them, payload.
   */
  'checksum'?: (number);
  'ids'?: (Buffer | Uint8Array | string);
  /**
   * In the table's codec.
   */
  'payload'?: (Buffer | Uint8Array | string);
}

/**
 * Mean gradients of rows of one table, by one worker at one step. A step's contributions to a server are numbered
 * from 0 and come in that order; (table, id) rises strictly over all of them, so a row is in one of them at most:
 * a worker adds up what its batch has of a row before it pushes.
 */
export interface RowsContribution__Output {
  'step': (number);
  /**
   * Index into RunSpec.tables.
   */
  'table': (number);
  'number': (number);
  /**
   * The low 32 bits of the XXH64 (seed 0) of ids and, behind them, payload.
   */
  'checksum': (number);
  'ids': (Buffer);
  /**
   * In the table's codec.
   */
  'payload': (Buffer);
}
