// Original file: proto/gradloom/v1/membership.proto

import type { RunSpec as _gradloom_v1_RunSpec, RunSpec__Output as _gradloom_v1_RunSpec__Output } from '../../gradloom/v1/RunSpec.js';
import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from '../../gradloom/v1/View.js';

/**
 * Hold what the view's `shards` say of this server, and no more: as its primary, as a backup, or to become one.
 */
export interface PlaceShards {
  'run'?: (string);
  'spec'?: (_gradloom_v1_RunSpec | null);
  'view'?: (_gradloom_v1_View | null);
}

/**
 * Hold what the view's `shards` say of this server, and no more: as its primary, as a backup, or to become one.
 */
export interface PlaceShards__Output {
  'run': (string);
  'spec': (_gradloom_v1_RunSpec__Output | null);
  'view': (_gradloom_v1_View__Output | null);
}
