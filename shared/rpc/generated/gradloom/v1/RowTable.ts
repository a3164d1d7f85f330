// Original file: proto/gradloom/v1/model.proto

import type { RowInitializerKind as _gradloom_v1_RowInitializerKind, RowInitializerKind__Output as _gradloom_v1_RowInitializerKind__Output } from '../../gradloom/v1/RowInitializerKind.js';
import type { Optimizer as _gradloom_v1_Optimizer, Optimizer__Output as _gradloom_v1_Optimizer__Output } from '../../gradloom/v1/Optimizer.js';
import type { Codec as _gradloom_v1_Codec, Codec__Output as _gradloom_v1_Codec__Output } from '../../gradloom/v1/Codec.js';
import type { Long } from '@grpc/proto-loader';

/**
 * A table of fp32 rows that nobody holds in full. A row that no update has touched has its initial values, a function
 * of (RunSpec.seed, name, row) alone, and takes no memory.
 */
export interface RowTable {
  'name'?: (string);
  /**
   * Ids are 0 to rows - 1.
   */
  'rows'?: (number | string | Long);
  /**
   * Elements of a row.
   */
  'width'?: (number);
  'initializer'?: (_gradloom_v1_RowInitializerKind);
  'initializerScale'?: (number | string);
  /**
   * OPTIMIZER_KIND_SGD, OPTIMIZER_KIND_ADAGRAD or OPTIMIZER_KIND_ADAM, run on the rows of a step alone; Adam's t
   * is a row's own count of updates. Without groups, l1, l2 and clip_value.
   */
  'optimizer'?: (_gradloom_v1_Optimizer | null);
  /**
   * How rows travel, gradients and values: CODEC_FP32; CODEC_BF16; or CODEC_FP16 with a scale for each row, so that its
   * bits do not depend on the rows beside it: all rows' halves, then for each row one signed byte, the exponent of its
   * power of two.
   */
  'codec'?: (_gradloom_v1_Codec);
}

/**
 * A table of fp32 rows that nobody holds in full. A row that no update has touched has its initial values, a function
 * of (RunSpec.seed, name, row) alone, and takes no memory.
 */
export interface RowTable__Output {
  'name': (string);
  /**
   * Ids are 0 to rows - 1.
   */
  'rows': (number);
  /**
   * Elements of a row.
   */
  'width': (number);
  'initializer': (_gradloom_v1_RowInitializerKind__Output);
  'initializerScale': (number);
  /**
   * OPTIMIZER_KIND_SGD, OPTIMIZER_KIND_ADAGRAD or OPTIMIZER_KIND_ADAM, run on the rows of a step alone; Adam's t
   * is a row's own count of updates. Without groups, l1, l2 and clip_value.
   */
  'optimizer': (_gradloom_v1_Optimizer__Output | null);
  /**
   * How rows travel, gradients and values: CODEC_FP32; CODEC_BF16; or CODEC_FP16 with a scale for each row, so that its
   * bits do not depend on the rows beside it: all rows' halves, then for each row one signed byte, the exponent of its
   * power of two.
   */
  'codec': (_gradloom_v1_Codec__Output);
}
