// Original file: proto/gradloom/v1/model.proto

/**
 * How a block's elements are written into `bytes` (little-endian throughout).
 */
export const Codec = {
  CODEC_UNSPECIFIED: 0,
  /**
   * IEEE 754 binary32.
   */
  CODEC_FP32: 1,
  /**
   * IEEE 754 binary16 of element x scale; scale is a power of two chosen for each block.
   */
  CODEC_FP16: 2,
  /**
   * The upper half of a binary32, rounded to nearest even.
   */
  CODEC_BF16: 3,
} as const;

/**
 * How a block's elements are written into `bytes` (little-endian throughout).
 */
export type Codec =
  | 'CODEC_UNSPECIFIED'
  | 0
  /**
   * IEEE 754 binary32.
   */
  | 'CODEC_FP32'
  | 1
  /**
   * IEEE 754 binary16 of element x scale; scale is a power of two chosen for each block.
   */
  | 'CODEC_FP16'
  | 2
  /**
   * The upper half of a binary32, rounded to nearest even.
   */
  | 'CODEC_BF16'
  | 3

/**
 * How a block's elements are written into `bytes` (little-endian throughout).
 */
export type Codec__Output = typeof Codec[keyof typeof Codec]
