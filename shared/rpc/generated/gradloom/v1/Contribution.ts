// Original file: proto/gradloom/v1/parameters.proto

import type { Codec as _gradloom_v1_Codec, Codec__Output as _gradloom_v1_Codec__Output } from '../../gradloom/v1/Codec.js';
import type { Long } from '@grpc/proto-loader';

/**
 * One worker's mean gradient for one block at one step (for TENSOR_KIND_STATE: its value).
 */
export interface Contribution {
  'step'?: (number | string | Long);
  'block'?: (number);
  'codec'?: (_gradloom_v1_Codec);
  'scale'?: (number | string);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum'?: (number);
  'payload'?: (Buffer | Uint8Array | string);
}

/**
 * One worker's mean gradient for one block at one step (for TENSOR_KIND_STATE: its value).
 */
export interface Contribution__Output {
  'step': (number);
  'block': (number);
  'codec': (_gradloom_v1_Codec__Output);
  'scale': (number);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum': (number);
  'payload': (Buffer);
}
