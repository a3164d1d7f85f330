// Original file: proto/gradloom/v1/membership.proto

import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from '../../gradloom/v1/View.js';

export interface StartRun {
  'view'?: (_gradloom_v1_View | null);
}

export interface StartRun__Output {
  'view': (_gradloom_v1_View__Output | null);
}
