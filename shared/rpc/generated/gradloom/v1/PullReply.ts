// Original file: proto/gradloom/v1/parameters.proto

import type { PullReady as _gradloom_v1_PullReady, PullReady__Output as _gradloom_v1_PullReady__Output } from '../../gradloom/v1/PullReady.js';
import type { Block as _gradloom_v1_Block, Block__Output as _gradloom_v1_Block__Output } from '../../gradloom/v1/Block.js';
import type { StepOutcome as _gradloom_v1_StepOutcome, StepOutcome__Output as _gradloom_v1_StepOutcome__Output } from '../../gradloom/v1/StepOutcome.js';
import type { Waiting as _gradloom_v1_Waiting, Waiting__Output as _gradloom_v1_Waiting__Output } from '../../gradloom/v1/Waiting.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';
import type { ViewNotice as _gradloom_v1_ViewNotice, ViewNotice__Output as _gradloom_v1_ViewNotice__Output } from '../../gradloom/v1/ViewNotice.js';

export interface PullReply {
  'ready'?: (_gradloom_v1_PullReady | null);
  'block'?: (_gradloom_v1_Block | null);
  'outcome'?: (_gradloom_v1_StepOutcome | null);
  'waiting'?: (_gradloom_v1_Waiting | null);
  'refusal'?: (_gradloom_v1_Refusal | null);
  'view'?: (_gradloom_v1_ViewNotice | null);
  'reply'?: "ready"|"block"|"outcome"|"waiting"|"refusal"|"view";
}

export interface PullReply__Output {
  'ready'?: (_gradloom_v1_PullReady__Output | null);
  'block'?: (_gradloom_v1_Block__Output | null);
  'outcome'?: (_gradloom_v1_StepOutcome__Output | null);
  'waiting'?: (_gradloom_v1_Waiting__Output | null);
  'refusal'?: (_gradloom_v1_Refusal__Output | null);
  'view'?: (_gradloom_v1_ViewNotice__Output | null);
  'reply'?: "ready"|"block"|"outcome"|"waiting"|"refusal"|"view";
}
