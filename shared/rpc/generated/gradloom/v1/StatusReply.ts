// Original file: proto/gradloom/v1/membership.proto

import type { ServerStatus as _gradloom_v1_ServerStatus, ServerStatus__Output as _gradloom_v1_ServerStatus__Output } from '../../gradloom/v1/ServerStatus.js';
import type { RunStatus as _gradloom_v1_RunStatus, RunStatus__Output as _gradloom_v1_RunStatus__Output } from '../../gradloom/v1/RunStatus.js';

export interface StatusReply {
  'servers'?: (_gradloom_v1_ServerStatus)[];
  'runs'?: (_gradloom_v1_RunStatus)[];
}

export interface StatusReply__Output {
  'servers': (_gradloom_v1_ServerStatus__Output)[];
  'runs': (_gradloom_v1_RunStatus__Output)[];
}
