// Original file: proto/gradloom/v1/membership.proto

import type { ServerWelcome as _gradloom_v1_ServerWelcome, ServerWelcome__Output as _gradloom_v1_ServerWelcome__Output } from '../../gradloom/v1/ServerWelcome.js';
import type { PrepareRun as _gradloom_v1_PrepareRun, PrepareRun__Output as _gradloom_v1_PrepareRun__Output } from '../../gradloom/v1/PrepareRun.js';
import type { EndRun as _gradloom_v1_EndRun, EndRun__Output as _gradloom_v1_EndRun__Output } from '../../gradloom/v1/EndRun.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';
import type { ChangeView as _gradloom_v1_ChangeView, ChangeView__Output as _gradloom_v1_ChangeView__Output } from '../../gradloom/v1/ChangeView.js';
import type { FenceWorker as _gradloom_v1_FenceWorker, FenceWorker__Output as _gradloom_v1_FenceWorker__Output } from '../../gradloom/v1/FenceWorker.js';
import type { TakeSnapshot as _gradloom_v1_TakeSnapshot, TakeSnapshot__Output as _gradloom_v1_TakeSnapshot__Output } from '../../gradloom/v1/TakeSnapshot.js';
import type { PlaceShards as _gradloom_v1_PlaceShards, PlaceShards__Output as _gradloom_v1_PlaceShards__Output } from '../../gradloom/v1/PlaceShards.js';
import type { ServerDrained as _gradloom_v1_ServerDrained, ServerDrained__Output as _gradloom_v1_ServerDrained__Output } from '../../gradloom/v1/ServerDrained.js';

export interface ServerOrder {
  'welcome'?: (_gradloom_v1_ServerWelcome | null);
  'prepare'?: (_gradloom_v1_PrepareRun | null);
  'end'?: (_gradloom_v1_EndRun | null);
  'refusal'?: (_gradloom_v1_Refusal | null);
  'change'?: (_gradloom_v1_ChangeView | null);
  'fence'?: (_gradloom_v1_FenceWorker | null);
  'snapshot'?: (_gradloom_v1_TakeSnapshot | null);
  'place'?: (_gradloom_v1_PlaceShards | null);
  'drained'?: (_gradloom_v1_ServerDrained | null);
  'order'?: "welcome"|"prepare"|"end"|"refusal"|"change"|"fence"|"place"|"drained"|"snapshot";
}

export interface ServerOrder__Output {
  'welcome'?: (_gradloom_v1_ServerWelcome__Output | null);
  'prepare'?: (_gradloom_v1_PrepareRun__Output | null);
  'end'?: (_gradloom_v1_EndRun__Output | null);
  'refusal'?: (_gradloom_v1_Refusal__Output | null);
  'change'?: (_gradloom_v1_ChangeView__Output | null);
  'fence'?: (_gradloom_v1_FenceWorker__Output | null);
  'snapshot'?: (_gradloom_v1_TakeSnapshot__Output | null);
  'place'?: (_gradloom_v1_PlaceShards__Output | null);
  'drained'?: (_gradloom_v1_ServerDrained__Output | null);
  'order'?: "welcome"|"prepare"|"end"|"refusal"|"change"|"fence"|"place"|"drained"|"snapshot";
}
