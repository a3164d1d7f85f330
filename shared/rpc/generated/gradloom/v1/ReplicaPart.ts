// Original file: proto/gradloom/v1/replication.proto

import type { Codec as _gradloom_v1_Codec, Codec__Output as _gradloom_v1_Codec__Output } from '../../gradloom/v1/Codec.js';
import type { Long } from '@grpc/proto-loader';

/**
 * A contribution that is added to the sum of a block, as it came from the worker: instead of the sum where all of them are
 * fewer bytes.
 */
export interface ReplicaPart {
  'step'?: (number | string | Long);
  'block'?: (number);
  'codec'?: (_gradloom_v1_Codec);
  'scale'?: (number | string);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum'?: (number);
  /**
   * The sum begins with it.
   */
  'first'?: (boolean);
  /**
   * Its weight in the sum.
   */
  'scalars'?: (number | string)[];
  'payload'?: (Buffer | Uint8Array | string);
}

/**
 * A contribution that is added to the sum of a block, as it came from the worker: instead of the sum where all of them are
 * fewer bytes.
 */
export interface ReplicaPart__Output {
  'step': (number);
  'block': (number);
  'codec': (_gradloom_v1_Codec__Output);
  'scale': (number);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum': (number);
  /**
   * The sum begins with it.
   */
  'first': (boolean);
  /**
   * Its weight in the sum.
   */
  'scalars': (number)[];
  'payload': (Buffer);
}
