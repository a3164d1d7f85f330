// Original file: proto/gradloom/v1/replication.proto

import type { Codec as _gradloom_v1_Codec, Codec__Output as _gradloom_v1_Codec__Output } from '../../gradloom/v1/Codec.js';
import type { Long } from '@grpc/proto-loader';

/**
 * One update of a block: the sum of its contributions, or how many were sent for it, and all scalars of the optimizer.
 */
export interface ReplicaUpdate {
  'step'?: (number | string | Long);
  'block'?: (number);
  /**
   * CODEC_FP32.
   */
  'codec'?: (_gradloom_v1_Codec);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum'?: (number);
  /**
   * Updates of the block before this one.
   */
  'version'?: (number | string | Long);
  /**
   * The scale that makes the sum a mean, the learning rate, and for OPTIMIZER_KIND_ADAM and OPTIMIZER_KIND_ADAMW the
   * step size and the epsilon with the corrections of bias in them.
   */
  'scalars'?: (number | string)[];
  /**
   * ReplicaParts that make up the sum; then there is no payload, and the checksum is 0.
   */
  'parts'?: (number | string | Long);
  'payload'?: (Buffer | Uint8Array | string);
}

/**
 * One update of a block: the sum of its contributions, or how many were sent for it, and all scalars of the optimizer.
 */
export interface ReplicaUpdate__Output {
  'step': (number);
  'block': (number);
  /**
   * CODEC_FP32.
   */
  'codec': (_gradloom_v1_Codec__Output);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum': (number);
  /**
   * Updates of the block before this one.
   */
  'version': (number);
  /**
   * The scale that makes the sum a mean, the learning rate, and for OPTIMIZER_KIND_ADAM and OPTIMIZER_KIND_ADAMW the
   * step size and the epsilon with the corrections of bias in them.
   */
  'scalars': (number)[];
  /**
   * ReplicaParts that make up the sum; then there is no payload, and the checksum is 0.
   */
  'parts': (number);
  'payload': (Buffer);
}
