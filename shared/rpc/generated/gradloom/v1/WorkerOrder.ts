// Original file: proto/gradloom/v1/membership.proto

import type { WorkerWelcome as _gradloom_v1_WorkerWelcome, WorkerWelcome__Output as _gradloom_v1_WorkerWelcome__Output } from '../../gradloom/v1/WorkerWelcome.js';
import type { StartRun as _gradloom_v1_StartRun, StartRun__Output as _gradloom_v1_StartRun__Output } from '../../gradloom/v1/StartRun.js';
import type { Evaluation as _gradloom_v1_Evaluation, Evaluation__Output as _gradloom_v1_Evaluation__Output } from '../../gradloom/v1/Evaluation.js';
import type { EndedRun as _gradloom_v1_EndedRun, EndedRun__Output as _gradloom_v1_EndedRun__Output } from '../../gradloom/v1/EndedRun.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';
import type { HoldRun as _gradloom_v1_HoldRun, HoldRun__Output as _gradloom_v1_HoldRun__Output } from '../../gradloom/v1/HoldRun.js';
import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from '../../gradloom/v1/View.js';
import type { TakeSnapshot as _gradloom_v1_TakeSnapshot, TakeSnapshot__Output as _gradloom_v1_TakeSnapshot__Output } from '../../gradloom/v1/TakeSnapshot.js';
import type { EvaluationWait as _gradloom_v1_EvaluationWait, EvaluationWait__Output as _gradloom_v1_EvaluationWait__Output } from '../../gradloom/v1/EvaluationWait.js';
import type { WorkerIsDone as _gradloom_v1_WorkerIsDone, WorkerIsDone__Output as _gradloom_v1_WorkerIsDone__Output } from '../../gradloom/v1/WorkerIsDone.js';

export interface WorkerOrder {
  'welcome'?: (_gradloom_v1_WorkerWelcome | null);
  'start'?: (_gradloom_v1_StartRun | null);
  'evaluation'?: (_gradloom_v1_Evaluation | null);
  'ended'?: (_gradloom_v1_EndedRun | null);
  'refusal'?: (_gradloom_v1_Refusal | null);
  'hold'?: (_gradloom_v1_HoldRun | null);
  /**
   * Decided: what was held goes on, up to the view's step under the old rules. The old view: nothing changes.
   */
  'view'?: (_gradloom_v1_View | null);
  'snapshot'?: (_gradloom_v1_TakeSnapshot | null);
  'evaluationWait'?: (_gradloom_v1_EvaluationWait | null);
  'done'?: (_gradloom_v1_WorkerIsDone | null);
  /**
   * Who holds the shards now; decides nothing that is waited for.
   */
  'placed'?: (_gradloom_v1_View | null);
  'order'?: "welcome"|"start"|"evaluation"|"ended"|"refusal"|"hold"|"view"|"placed"|"snapshot"|"evaluationWait"|"done";
}

export interface WorkerOrder__Output {
  'welcome'?: (_gradloom_v1_WorkerWelcome__Output | null);
  'start'?: (_gradloom_v1_StartRun__Output | null);
  'evaluation'?: (_gradloom_v1_Evaluation__Output | null);
  'ended'?: (_gradloom_v1_EndedRun__Output | null);
  'refusal'?: (_gradloom_v1_Refusal__Output | null);
  'hold'?: (_gradloom_v1_HoldRun__Output | null);
  /**
   * Decided: what was held goes on, up to the view's step under the old rules. The old view: nothing changes.
   */
  'view'?: (_gradloom_v1_View__Output | null);
  'snapshot'?: (_gradloom_v1_TakeSnapshot__Output | null);
  'evaluationWait'?: (_gradloom_v1_EvaluationWait__Output | null);
  'done'?: (_gradloom_v1_WorkerIsDone__Output | null);
  /**
   * Who holds the shards now; decides nothing that is waited for.
   */
  'placed'?: (_gradloom_v1_View__Output | null);
  'order'?: "welcome"|"start"|"evaluation"|"ended"|"refusal"|"hold"|"view"|"placed"|"snapshot"|"evaluationWait"|"done";
}
