// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

export interface EndedRun {
  'failed'?: (boolean);
  'reason'?: (string);
  /**
   * Sums over all workers, where the run has not failed.
   */
  'bytesPushed'?: (number | string | Long);
  'bytesPulled'?: (number | string | Long);
  'bytesRetried'?: (number | string | Long);
}

export interface EndedRun__Output {
  'failed': (boolean);
  'reason': (string);
  /**
   * Sums over all workers, where the run has not failed.
   */
  'bytesPushed': (number);
  'bytesPulled': (number);
  'bytesRetried': (number);
}
