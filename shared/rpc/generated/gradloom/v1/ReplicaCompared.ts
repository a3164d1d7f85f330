// Original file: proto/gradloom/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A block of the copy, for the primary to compare with its own. Where they differ it sends all arrays of the block again.
 */
export interface ReplicaCompared {
  'block'?: (number);
  /**
   * Updates of the block.
   */
  'version'?: (number | string | Long);
  /**
   * The low 32 bits of the XXH64 (seed 0) of each array, in the order of ReplicaArray.array; none: it has no values yet.
   */
  'checksums'?: (number)[];
}

/**
 * A block of the copy, for the primary to compare with its own. Where they differ it sends all arrays of the block again.
 */
export interface ReplicaCompared__Output {
  'block': (number);
  /**
   * Updates of the block.
   */
  'version': (number);
  /**
   * The low 32 bits of the XXH64 (seed 0) of each array, in the order of ReplicaArray.array; none: it has no values yet.
   */
  'checksums': (number)[];
}
