// Original file: proto/gradloom/v1/parameters.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Squared norms of blocks of the server that speaks, of the open step. Whoever adds them does so in canonical order of
 * the blocks and in double precision, so that all get the same bits.
 */
export interface BlockNorms {
  'step'?: (number | string | Long);
  /**
   * From 0: with Optimizer.clip_norm first of the mean gradients, one number a block; with OPTIMIZER_KIND_LAMB then of
   * the values and the direction of the update, two numbers a block.
   */
  'round'?: (number);
  'blocks'?: (number)[];
  'squares'?: (number | string)[];
}

/**
 * Squared norms of blocks of the server that speaks, of the open step. Whoever adds them does so in canonical order of
 * the blocks and in double precision, so that all get the same bits.
 */
export interface BlockNorms__Output {
  'step': (number);
  /**
   * From 0: with Optimizer.clip_norm first of the mean gradients, one number a block; with OPTIMIZER_KIND_LAMB then of
   * the values and the direction of the update, two numbers a block.
   */
  'round': (number);
  'blocks': (number)[];
  'squares': (number)[];
}
