// Original file: proto/gradloom/v1/rows.proto

import type { Hello as _gradloom_v1_Hello, Hello__Output as _gradloom_v1_Hello__Output } from '../../gradloom/v1/Hello.js';
import type { RowsRequest as _gradloom_v1_RowsRequest, RowsRequest__Output as _gradloom_v1_RowsRequest__Output } from '../../gradloom/v1/RowsRequest.js';
import type { RowsScan as _gradloom_v1_RowsScan, RowsScan__Output as _gradloom_v1_RowsScan__Output } from '../../gradloom/v1/RowsScan.js';

export interface RowsPullMessage {
  'hello'?: (_gradloom_v1_Hello | null);
  'request'?: (_gradloom_v1_RowsRequest | null);
  'scan'?: (_gradloom_v1_RowsScan | null);
  'message'?: "hello"|"request"|"scan";
}

export interface RowsPullMessage__Output {
  'hello'?: (_gradloom_v1_Hello__Output | null);
  'request'?: (_gradloom_v1_RowsRequest__Output | null);
  'scan'?: (_gradloom_v1_RowsScan__Output | null);
  'message'?: "hello"|"request"|"scan";
}
