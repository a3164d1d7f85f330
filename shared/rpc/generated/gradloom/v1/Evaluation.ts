// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

export interface Evaluation {
  'step'?: (number | string | Long);
  'records'?: (number);
  'loss'?: (number | string);
  'accuracy'?: (number | string);
}

export interface Evaluation__Output {
  'step': (number);
  'records': (number);
  'loss': (number);
  'accuracy': (number);
}
