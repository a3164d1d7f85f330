// Original file: proto/gradloom/v1/rows.proto

import type { Long } from '@grpc/proto-loader';

export interface RowsRelease {
  'bytes'?: (number | string | Long);
}

export interface RowsRelease__Output {
  'bytes': (number);
}
