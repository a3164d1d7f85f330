// Original file: proto/gradloom/v1/model.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Names a snapshot wherever it lies.
 */
export interface Resume {
  /**
   * Steps that were decided: the first step of the run that goes on.
   */
  'step'?: (number | string | Long);
  /**
   * The SHA-256 that its manifest bears.
   */
  'manifestSha256'?: (Buffer | Uint8Array | string);
}

/**
 * Names a snapshot wherever it lies.
 */
export interface Resume__Output {
  /**
   * Steps that were decided: the first step of the run that goes on.
   */
  'step': (number);
  /**
   * The SHA-256 that its manifest bears.
   */
  'manifestSha256': (Buffer);
}
