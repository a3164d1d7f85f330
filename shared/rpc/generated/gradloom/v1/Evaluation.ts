// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

export interface Evaluation {
  'step'?: (number | string | Long);
  /**
   * 0: somebody has left; evaluate again, by the view that has been told.
   */
  'records'?: (number);
  'loss'?: (number | string);
  'accuracy'?: (number | string);
}

export interface Evaluation__Output {
  'step': (number);
  /**
   * 0: somebody has left; evaluate again, by the view that has been told.
   */
  'records': (number);
  'loss': (number);
  'accuracy': (number);
}
