// Original file: proto/gradloom/v1/membership.proto

import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from '../../gradloom/v1/View.js';

/**
 * Change to a view when all steps before its `from_step` are closed; answered by `taken` or `refused` at once.
 */
export interface ChangeView {
  'run'?: (string);
  'view'?: (_gradloom_v1_View | null);
}

/**
 * Change to a view when all steps before its `from_step` are closed; answered by `taken` or `refused` at once.
 */
export interface ChangeView__Output {
  'run': (string);
  'view': (_gradloom_v1_View__Output | null);
}
