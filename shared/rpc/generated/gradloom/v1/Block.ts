// Original file: proto/gradloom/v1/parameters.proto

import type { Codec as _gradloom_v1_Codec, Codec__Output as _gradloom_v1_Codec__Output } from '../../gradloom/v1/Codec.js';
import type { Long } from '@grpc/proto-loader';

export interface Block {
  /**
   * Steps decided when this was read. Under ssp and asp: of the subscription, the clock (steps of its own that are
   * done) that the worker enters with it; fetched, clock_min.
   */
  'step'?: (number | string | Long);
  'block'?: (number);
  'codec'?: (_gradloom_v1_Codec);
  'scale'?: (number | string);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum'?: (number);
  /**
   * Updates applied to this block: fewer than `step` where steps were skipped; under ssp and asp each worker's
   * contribution is one.
   */
  'version'?: (number | string | Long);
  /**
   * Answers a Fetch, not the subscription.
   */
  'fetched'?: (boolean);
  /**
   * Steps of the worker that is furthest behind, and ahead, whose updates are in the block; under bsp both are `step`.
   */
  'clockMin'?: (number | string | Long);
  'clockMax'?: (number | string | Long);
  'payload'?: (Buffer | Uint8Array | string);
}

export interface Block__Output {
  /**
   * Steps decided when this was read. Under ssp and asp: of the subscription, the clock (steps of its own that are
   * done) that the worker enters with it; fetched, clock_min.
   */
  'step': (number);
  'block': (number);
  'codec': (_gradloom_v1_Codec__Output);
  'scale': (number);
  /**
   * The low 32 bits of the XXH64 (seed 0) of payload.
   */
  'checksum': (number);
  /**
   * Updates applied to this block: fewer than `step` where steps were skipped; under ssp and asp each worker's
   * contribution is one.
   */
  'version': (number);
  /**
   * Answers a Fetch, not the subscription.
   */
  'fetched': (boolean);
  /**
   * Steps of the worker that is furthest behind, and ahead, whose updates are in the block; under bsp both are `step`.
   */
  'clockMin': (number);
  'clockMax': (number);
  'payload': (Buffer);
}
