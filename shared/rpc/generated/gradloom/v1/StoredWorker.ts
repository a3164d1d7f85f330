// Original file: proto/gradloom/v1/coordination.proto

import type { Long } from '@grpc/proto-loader';

export interface StoredWorker {
  'rank'?: (number);
  'label'?: (string);
  'token'?: (string);
  'done'?: (boolean);
  'bytesPushed'?: (number | string | Long);
  'bytesPulled'?: (number | string | Long);
  /**
   * Number of the view under which it works.
   */
  'view'?: (number);
  /**
   * It was leaving, and the view without it was not decided: why. It does not come back.
   */
  'leaving'?: (string);
  'putOut'?: (boolean);
  'bytesRetried'?: (number | string | Long);
}

export interface StoredWorker__Output {
  'rank': (number);
  'label': (string);
  'token': (string);
  'done': (boolean);
  'bytesPushed': (number);
  'bytesPulled': (number);
  /**
   * Number of the view under which it works.
   */
  'view': (number);
  /**
   * It was leaving, and the view without it was not decided: why. It does not come back.
   */
  'leaving': (string);
  'putOut': (boolean);
  'bytesRetried': (number);
}
