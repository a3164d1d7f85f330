// Original file: proto/gradloom/v1/membership.proto

import type { RunSpec as _gradloom_v1_RunSpec, RunSpec__Output as _gradloom_v1_RunSpec__Output } from '../../gradloom/v1/RunSpec.js';
import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from '../../gradloom/v1/View.js';

/**
 * Allocate the shard of a run; answered by `prepared` or `refused`. Whatever is held of the run is dropped before.
 */
export interface PrepareRun {
  'run'?: (string);
  'spec'?: (_gradloom_v1_RunSpec | null);
  'view'?: (_gradloom_v1_View | null);
}

/**
 * Allocate the shard of a run; answered by `prepared` or `refused`. Whatever is held of the run is dropped before.
 */
export interface PrepareRun__Output {
  'run': (string);
  'spec': (_gradloom_v1_RunSpec__Output | null);
  'view': (_gradloom_v1_View__Output | null);
}
