// Original file: proto/gradloom/v1/parameters.proto

import type { Hello as _gradloom_v1_Hello, Hello__Output as _gradloom_v1_Hello__Output } from '../../gradloom/v1/Hello.js';
import type { Subscribe as _gradloom_v1_Subscribe, Subscribe__Output as _gradloom_v1_Subscribe__Output } from '../../gradloom/v1/Subscribe.js';
import type { Fetch as _gradloom_v1_Fetch, Fetch__Output as _gradloom_v1_Fetch__Output } from '../../gradloom/v1/Fetch.js';

export interface PullMessage {
  'hello'?: (_gradloom_v1_Hello | null);
  'subscribe'?: (_gradloom_v1_Subscribe | null);
  'fetch'?: (_gradloom_v1_Fetch | null);
  'message'?: "hello"|"subscribe"|"fetch";
}

export interface PullMessage__Output {
  'hello'?: (_gradloom_v1_Hello__Output | null);
  'subscribe'?: (_gradloom_v1_Subscribe__Output | null);
  'fetch'?: (_gradloom_v1_Fetch__Output | null);
  'message'?: "hello"|"subscribe"|"fetch";
}
