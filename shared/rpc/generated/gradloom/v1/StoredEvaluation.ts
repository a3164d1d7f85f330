// Original file: proto/gradloom/v1/coordination.proto

import type { Long } from '@grpc/proto-loader';

export interface StoredEvaluation {
  'step'?: (number | string | Long);
  'records'?: (number);
  'loss'?: (number | string);
  'accuracy'?: (number | string);
}

export interface StoredEvaluation__Output {
  'step': (number);
  'records': (number);
  'loss': (number);
  'accuracy': (number);
}
