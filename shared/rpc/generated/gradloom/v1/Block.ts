// Original file: proto/gradloom/v1/parameters.proto

import type { Codec as _gradloom_v1_Codec, Codec__Output as _gradloom_v1_Codec__Output } from '../../gradloom/v1/Codec.js';
import type { Long } from '@grpc/proto-loader';

export interface Block {
  /**
   * Steps decided when this was read.
   */
  'step'?: (number | string | Long);
  'block'?: (number);
  'codec'?: (_gradloom_v1_Codec);
  'scale'?: (number | string);
  /**
   * CRC-32 (IEEE 802.3) of payload.
   */
  'crc32'?: (number);
  /**
   * Updates applied to this block: fewer than `step` where steps were skipped.
   */
  'version'?: (number | string | Long);
  /**
   * Answers a Fetch, not the subscription.
   */
  'fetched'?: (boolean);
  'payload'?: (Buffer | Uint8Array | string);
}

export interface Block__Output {
  /**
   * Steps decided when this was read.
   */
  'step': (number);
  'block': (number);
  'codec': (_gradloom_v1_Codec__Output);
  'scale': (number);
  /**
   * CRC-32 (IEEE 802.3) of payload.
   */
  'crc32': (number);
  /**
   * Updates applied to this block: fewer than `step` where steps were skipped.
   */
  'version': (number);
  /**
   * Answers a Fetch, not the subscription.
   */
  'fetched': (boolean);
  'payload': (Buffer);
}
