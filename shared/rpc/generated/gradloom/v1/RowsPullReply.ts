// Original file: proto/gradloom/v1/rows.proto

import type { RowsPullReady as _gradloom_v1_RowsPullReady, RowsPullReady__Output as _gradloom_v1_RowsPullReady__Output } from '../../gradloom/v1/RowsPullReady.js';
import type { RowValues as _gradloom_v1_RowValues, RowValues__Output as _gradloom_v1_RowValues__Output } from '../../gradloom/v1/RowValues.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';
import type { Waiting as _gradloom_v1_Waiting, Waiting__Output as _gradloom_v1_Waiting__Output } from '../../gradloom/v1/Waiting.js';
import type { ScannedRows as _gradloom_v1_ScannedRows, ScannedRows__Output as _gradloom_v1_ScannedRows__Output } from '../../gradloom/v1/ScannedRows.js';

export interface RowsPullReply {
  'ready'?: (_gradloom_v1_RowsPullReady | null);
  'rows'?: (_gradloom_v1_RowValues | null);
  'refusal'?: (_gradloom_v1_Refusal | null);
  'waiting'?: (_gradloom_v1_Waiting | null);
  'scanned'?: (_gradloom_v1_ScannedRows | null);
  'reply'?: "ready"|"rows"|"refusal"|"waiting"|"scanned";
}

export interface RowsPullReply__Output {
  'ready'?: (_gradloom_v1_RowsPullReady__Output | null);
  'rows'?: (_gradloom_v1_RowValues__Output | null);
  'refusal'?: (_gradloom_v1_Refusal__Output | null);
  'waiting'?: (_gradloom_v1_Waiting__Output | null);
  'scanned'?: (_gradloom_v1_ScannedRows__Output | null);
  'reply'?: "ready"|"rows"|"refusal"|"waiting"|"scanned";
}
