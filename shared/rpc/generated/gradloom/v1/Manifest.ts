// Original file: proto/gradloom/v1/model.proto

import type { Tensor as _gradloom_v1_Tensor, Tensor__Output as _gradloom_v1_Tensor__Output } from '../../gradloom/v1/Tensor.js';

/**
 * The model's tensors in canonical order. `schema_hash` is the SHA-256 of a canonical text of them;
 * two nodes whose hashes differ refuse each other.
 */
export interface Manifest {
  'tensors'?: (_gradloom_v1_Tensor)[];
  'schemaHash'?: (Buffer | Uint8Array | string);
}

/**
 * The model's tensors in canonical order. `schema_hash` is the SHA-256 of a canonical text of them;
 * two nodes whose hashes differ refuse each other.
 */
export interface Manifest__Output {
  'tensors': (_gradloom_v1_Tensor__Output)[];
  'schemaHash': (Buffer);
}
