// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Write what you hold as it stands after `step` steps into the snapshot's folder; answered by a SnapshotPart. Workers
 * are asked where the codec is lossy: they hold residuals.
 */
export interface TakeSnapshot {
  'run'?: (string);
  'step'?: (number | string | Long);
  /**
   * Name of the run's folder in the folder of snapshots; the snapshot's own within it is step-<step>.
   */
  'folder'?: (string);
}

/**
 * Write what you hold as it stands after `step` steps into the snapshot's folder; answered by a SnapshotPart. Workers
 * are asked where the codec is lossy: they hold residuals.
 */
export interface TakeSnapshot__Output {
  'run': (string);
  'step': (number);
  /**
   * Name of the run's folder in the folder of snapshots; the snapshot's own within it is step-<step>.
   */
  'folder': (string);
}
