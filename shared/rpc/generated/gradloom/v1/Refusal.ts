// Original file: proto/gradloom/v1/model.proto

import type { RefusalCode as _gradloom_v1_RefusalCode, RefusalCode__Output as _gradloom_v1_RefusalCode__Output } from '../../gradloom/v1/RefusalCode.js';

export interface Refusal {
  'code'?: (_gradloom_v1_RefusalCode);
  'sentence'?: (string);
}

export interface Refusal__Output {
  'code': (_gradloom_v1_RefusalCode__Output);
  'sentence': (string);
}
