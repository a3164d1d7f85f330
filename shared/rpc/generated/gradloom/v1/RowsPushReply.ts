// Original file: proto/gradloom/v1/rows.proto

import type { RowsPushReady as _gradloom_v1_RowsPushReady, RowsPushReady__Output as _gradloom_v1_RowsPushReady__Output } from '../../gradloom/v1/RowsPushReady.js';
import type { RowsRelease as _gradloom_v1_RowsRelease, RowsRelease__Output as _gradloom_v1_RowsRelease__Output } from '../../gradloom/v1/RowsRelease.js';
import type { RowsClosed as _gradloom_v1_RowsClosed, RowsClosed__Output as _gradloom_v1_RowsClosed__Output } from '../../gradloom/v1/RowsClosed.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';
import type { Waiting as _gradloom_v1_Waiting, Waiting__Output as _gradloom_v1_Waiting__Output } from '../../gradloom/v1/Waiting.js';

export interface RowsPushReply {
  'ready'?: (_gradloom_v1_RowsPushReady | null);
  'release'?: (_gradloom_v1_RowsRelease | null);
  'closed'?: (_gradloom_v1_RowsClosed | null);
  'refusal'?: (_gradloom_v1_Refusal | null);
  'waiting'?: (_gradloom_v1_Waiting | null);
  'reply'?: "ready"|"release"|"closed"|"refusal"|"waiting";
}

export interface RowsPushReply__Output {
  'ready'?: (_gradloom_v1_RowsPushReady__Output | null);
  'release'?: (_gradloom_v1_RowsRelease__Output | null);
  'closed'?: (_gradloom_v1_RowsClosed__Output | null);
  'refusal'?: (_gradloom_v1_Refusal__Output | null);
  'waiting'?: (_gradloom_v1_Waiting__Output | null);
  'reply'?: "ready"|"release"|"closed"|"refusal"|"waiting";
}
