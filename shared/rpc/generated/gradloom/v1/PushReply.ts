// Original file: proto/gradloom/v1/parameters.proto

import type { PushReady as _gradloom_v1_PushReady, PushReady__Output as _gradloom_v1_PushReady__Output } from '../../gradloom/v1/PushReady.js';
import type { PushAck as _gradloom_v1_PushAck, PushAck__Output as _gradloom_v1_PushAck__Output } from '../../gradloom/v1/PushAck.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';

export interface PushReply {
  'ready'?: (_gradloom_v1_PushReady | null);
  'ack'?: (_gradloom_v1_PushAck | null);
  'refusal'?: (_gradloom_v1_Refusal | null);
  'reply'?: "ready"|"ack"|"refusal";
}

export interface PushReply__Output {
  'ready'?: (_gradloom_v1_PushReady__Output | null);
  'ack'?: (_gradloom_v1_PushAck__Output | null);
  'refusal'?: (_gradloom_v1_Refusal__Output | null);
  'reply'?: "ready"|"ack"|"refusal";
}
