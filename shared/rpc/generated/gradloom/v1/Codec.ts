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
  /**
   * The three below are lossy. A contribution holds what earlier ones left out (error feedback), and a subscription
   * brings differences to what the subscriber holds. They are for trainable blocks of 1,024 elements or more; the
   * others travel in fp32, as do fetched blocks.
   * An fp32 scale for every 256 elements (the last group may be shorter), then one signed byte for each element.
   */
  CODEC_INT8: 4,
  /**
   * The k largest magnitudes, k = ceil(elements x top_k_percent / 100): k as uint32; a bit string with, for each
   * 256 elements, a 1 for each position in them and then a 0 (from the lowest bit of the first byte, the last byte
   * filled with zeros); the low byte of each position; the values as CODEC_FP16 with the block's scale.
   */
  CODEC_TOPK: 5,
  /**
   * An fp32 magnitude for every 2,048 elements (the last group may be shorter), then one bit for each element, set where
   * it is negative, from the lowest bit of the first byte.
   */
  CODEC_SIGN: 6,
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
   * The three below are lossy. A contribution holds what earlier ones left out (error feedback), and a subscription
   * brings differences to what the subscriber holds. They are for trainable blocks of 1,024 elements or more; the
   * others travel in fp32, as do fetched blocks.
   * An fp32 scale for every 256 elements (the last group may be shorter), then one signed byte for each element.
   */
  | 'CODEC_INT8'
  | 4
  /**
   * The k largest magnitudes, k = ceil(elements x top_k_percent / 100): k as uint32; a bit string with, for each
   * 256 elements, a 1 for each position in them and then a 0 (from the lowest bit of the first byte, the last byte
   * filled with zeros); the low byte of each position; the values as CODEC_FP16 with the block's scale.
   */
  | 'CODEC_TOPK'
  | 5
  /**
   * An fp32 magnitude for every 2,048 elements (the last group may be shorter), then one bit for each element, set where
   * it is negative, from the lowest bit of the first byte.
   */
  | 'CODEC_SIGN'
  | 6

/**
 * How a block's elements are written into `bytes` (little-endian throughout).
 */
export type Codec__Output = typeof Codec[keyof typeof Codec]
