// Original file: proto/gradloom/v1/parameters.proto

import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';

export interface AgreeReply {
  'refusal'?: (_gradloom_v1_Refusal | null);
  'reply'?: "refusal";
}

export interface AgreeReply__Output {
  'refusal'?: (_gradloom_v1_Refusal__Output | null);
  'reply'?: "refusal";
}
