// Original file: proto/gradloom/v1/membership.proto

import type { WorkerWelcome as _gradloom_v1_WorkerWelcome, WorkerWelcome__Output as _gradloom_v1_WorkerWelcome__Output } from '../../gradloom/v1/WorkerWelcome.js';
import type { StartRun as _gradloom_v1_StartRun, StartRun__Output as _gradloom_v1_StartRun__Output } from '../../gradloom/v1/StartRun.js';
import type { Evaluation as _gradloom_v1_Evaluation, Evaluation__Output as _gradloom_v1_Evaluation__Output } from '../../gradloom/v1/Evaluation.js';
import type { EndedRun as _gradloom_v1_EndedRun, EndedRun__Output as _gradloom_v1_EndedRun__Output } from '../../gradloom/v1/EndedRun.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';
import type { TakeSnapshot as _gradloom_v1_TakeSnapshot, TakeSnapshot__Output as _gradloom_v1_TakeSnapshot__Output } from '../../gradloom/v1/TakeSnapshot.js';

export interface WorkerOrder {
  'welcome'?: (_gradloom_v1_WorkerWelcome | null);
  'start'?: (_gradloom_v1_StartRun | null);
  'evaluation'?: (_gradloom_v1_Evaluation | null);
  'ended'?: (_gradloom_v1_EndedRun | null);
  'refusal'?: (_gradloom_v1_Refusal | null);
  'snapshot'?: (_gradloom_v1_TakeSnapshot | null);
  'order'?: "welcome"|"start"|"evaluation"|"ended"|"refusal"|"snapshot";
}

export interface WorkerOrder__Output {
  'welcome'?: (_gradloom_v1_WorkerWelcome__Output | null);
  'start'?: (_gradloom_v1_StartRun__Output | null);
  'evaluation'?: (_gradloom_v1_Evaluation__Output | null);
  'ended'?: (_gradloom_v1_EndedRun__Output | null);
  'refusal'?: (_gradloom_v1_Refusal__Output | null);
  'snapshot'?: (_gradloom_v1_TakeSnapshot__Output | null);
  'order'?: "welcome"|"start"|"evaluation"|"ended"|"refusal"|"snapshot";
}
