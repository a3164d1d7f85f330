// Original file: proto/gradloom/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

/**
 * One fp32 array of a block as it stood between two updates: values, optimizer slots, what the workers hold.
 */
export interface ReplicaArray {
  /**
   * Steps decided on the block.
   */
  'step'?: (number | string | Long);
  'block'?: (number);
  /**
   * Which: 0 values, then the optimizer's slots, then what the workers hold.
   */
  'array'?: (number);
  'checksum'?: (number);
  /**
   * Updates of the block.
   */
  'version'?: (number | string | Long);
  /**
   * Of what the workers hold: the difference that the last update makes is still to be encoded, and then added.
   */
  'due'?: (boolean);
  'payload'?: (Buffer | Uint8Array | string);
}

/**
 * One fp32 array of a block as it stood between two updates: values, optimizer slots, what the workers hold.
 */
export interface ReplicaArray__Output {
  /**
   * Steps decided on the block.
   */
  'step': (number);
  'block': (number);
  /**
   * Which: 0 values, then the optimizer's slots, then what the workers hold.
   */
  'array': (number);
  'checksum': (number);
  /**
   * Updates of the block.
   */
  'version': (number);
  /**
   * Of what the workers hold: the difference that the last update makes is still to be encoded, and then added.
   */
  'due': (boolean);
  'payload': (Buffer);
}
