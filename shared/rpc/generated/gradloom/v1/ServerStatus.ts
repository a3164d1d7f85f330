// Original file: proto/gradloom/v1/membership.proto

import type { ServerInfo as _gradloom_v1_ServerInfo, ServerInfo__Output as _gradloom_v1_ServerInfo__Output } from '../../gradloom/v1/ServerInfo.js';
import type { Long } from '@grpc/proto-loader';

export interface ServerStatus {
  'info'?: (_gradloom_v1_ServerInfo | null);
  'label'?: (string);
  'memoryBytes'?: (number | string | Long);
}

export interface ServerStatus__Output {
  'info': (_gradloom_v1_ServerInfo__Output | null);
  'label': (string);
  'memoryBytes': (number);
}
