// Original file: proto/gradloom/v1/parameters.proto

import type { Codec as _gradloom_v1_Codec, Codec__Output as _gradloom_v1_Codec__Output } from '../../gradloom/v1/Codec.js';
import type { Long } from '@grpc/proto-loader';

/**
 * Once, in fp32, fp16 or bf16: the blocks named (none named: all of this server) as they stand when `step` steps are
 * decided; under ssp and asp when every worker has done `step` steps.
 */
export interface Fetch {
  'step'?: (number | string | Long);
  'codec'?: (_gradloom_v1_Codec);
  'blocks'?: (number)[];
  /**
   * Of blocks that travel as differences in training: what the workers hold, instead of the values. In fp32.
   */
  'held'?: (boolean);
}

/**
 * Once, in fp32, fp16 or bf16: the blocks named (none named: all of this server) as they stand when `step` steps are
 * decided; under ssp and asp when every worker has done `step` steps.
 */
export interface Fetch__Output {
  'step': (number);
  'codec': (_gradloom_v1_Codec__Output);
  'blocks': (number)[];
  /**
   * Of blocks that travel as differences in training: what the workers hold, instead of the values. In fp32.
   */
  'held': (boolean);
}
