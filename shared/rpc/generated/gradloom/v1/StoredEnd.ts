// Original file: proto/gradloom/v1/coordination.proto

import type { Long } from '@grpc/proto-loader';

export interface StoredEnd {
  'run'?: (string);
  'failed'?: (boolean);
  'reason'?: (string);
  'bytesPushed'?: (number | string | Long);
  'bytesPulled'?: (number | string | Long);
  'bytesRetried'?: (number | string | Long);
}

export interface StoredEnd__Output {
  'run': (string);
  'failed': (boolean);
  'reason': (string);
  'bytesPushed': (number);
  'bytesPulled': (number);
  'bytesRetried': (number);
}
