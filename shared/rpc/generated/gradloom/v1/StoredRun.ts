// Original file: proto/gradloom/v1/coordination.proto

import type { RunSpec as _gradloom_v1_RunSpec, RunSpec__Output as _gradloom_v1_RunSpec__Output } from '../../gradloom/v1/RunSpec.js';
import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from '../../gradloom/v1/View.js';
import type { StoredWorker as _gradloom_v1_StoredWorker, StoredWorker__Output as _gradloom_v1_StoredWorker__Output } from '../../gradloom/v1/StoredWorker.js';
import type { CopyDiverged as _gradloom_v1_CopyDiverged, CopyDiverged__Output as _gradloom_v1_CopyDiverged__Output } from '../../gradloom/v1/CopyDiverged.js';
import type { Long } from '@grpc/proto-loader';

export interface StoredRun {
  'run'?: (string);
  /**
   * Under the last view that was decided.
   */
  'spec'?: (_gradloom_v1_RunSpec | null);
  'view'?: (_gradloom_v1_View | null);
  'workers'?: (_gradloom_v1_StoredWorker)[];
  /**
   * Ids of the servers that hold its shards.
   */
  'servers'?: (number)[];
  /**
   * A view whose step is decided, and which not every server has taken yet.
   */
  'decided'?: (_gradloom_v1_View | null);
  /**
   * Copies of each shard that are wanted.
   */
  'wanted'?: (number);
  /**
   * Whoever has left last: where a server dies before all have got over it, it is decided once more where to go on.
   */
  'lastLeaving'?: (_gradloom_v1_StoredWorker | null);
  /**
   * Number of the last view that was proposed: a server may have taken one that was decided anew.
   */
  'proposed'?: (number);
  /**
   * Blocks of copies that were not equal to their primary's, and the last of them.
   */
  'divergences'?: (number | string | Long);
  'lastDivergence'?: (_gradloom_v1_CopyDiverged | null);
}

export interface StoredRun__Output {
  'run': (string);
  /**
   * Under the last view that was decided.
   */
  'spec': (_gradloom_v1_RunSpec__Output | null);
  'view': (_gradloom_v1_View__Output | null);
  'workers': (_gradloom_v1_StoredWorker__Output)[];
  /**
   * Ids of the servers that hold its shards.
   */
  'servers': (number)[];
  /**
   * A view whose step is decided, and which not every server has taken yet.
   */
  'decided': (_gradloom_v1_View__Output | null);
  /**
   * Copies of each shard that are wanted.
   */
  'wanted': (number);
  /**
   * Whoever has left last: where a server dies before all have got over it, it is decided once more where to go on.
   */
  'lastLeaving': (_gradloom_v1_StoredWorker__Output | null);
  /**
   * Number of the last view that was proposed: a server may have taken one that was decided anew.
   */
  'proposed': (number);
  /**
   * Blocks of copies that were not equal to their primary's, and the last of them.
   */
  'divergences': (number);
  'lastDivergence': (_gradloom_v1_CopyDiverged__Output | null);
}
