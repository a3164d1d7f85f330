// Original file: proto/gradloom/v1/parameters.proto

import type { AgreeHello as _gradloom_v1_AgreeHello, AgreeHello__Output as _gradloom_v1_AgreeHello__Output } from '../../gradloom/v1/AgreeHello.js';
import type { BlockNorms as _gradloom_v1_BlockNorms, BlockNorms__Output as _gradloom_v1_BlockNorms__Output } from '../../gradloom/v1/BlockNorms.js';
import type { StepCut as _gradloom_v1_StepCut, StepCut__Output as _gradloom_v1_StepCut__Output } from '../../gradloom/v1/StepCut.js';

export interface AgreeMessage {
  'hello'?: (_gradloom_v1_AgreeHello | null);
  'norms'?: (_gradloom_v1_BlockNorms | null);
  'cut'?: (_gradloom_v1_StepCut | null);
  'message'?: "hello"|"norms"|"cut";
}

export interface AgreeMessage__Output {
  'hello'?: (_gradloom_v1_AgreeHello__Output | null);
  'norms'?: (_gradloom_v1_BlockNorms__Output | null);
  'cut'?: (_gradloom_v1_StepCut__Output | null);
  'message'?: "hello"|"norms"|"cut";
}
