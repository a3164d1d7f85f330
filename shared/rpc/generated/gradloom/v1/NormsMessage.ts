// Original file: proto/gradloom/v1/parameters.proto

import type { NormsHello as _gradloom_v1_NormsHello, NormsHello__Output as _gradloom_v1_NormsHello__Output } from '../../gradloom/v1/NormsHello.js';
import type { BlockNorms as _gradloom_v1_BlockNorms, BlockNorms__Output as _gradloom_v1_BlockNorms__Output } from '../../gradloom/v1/BlockNorms.js';

export interface NormsMessage {
  'hello'?: (_gradloom_v1_NormsHello | null);
  'norms'?: (_gradloom_v1_BlockNorms | null);
  'message'?: "hello"|"norms";
}

export interface NormsMessage__Output {
  'hello'?: (_gradloom_v1_NormsHello__Output | null);
  'norms'?: (_gradloom_v1_BlockNorms__Output | null);
  'message'?: "hello"|"norms";
}
