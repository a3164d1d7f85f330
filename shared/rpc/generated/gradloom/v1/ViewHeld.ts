// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Answers `hold`: the worker will not begin this step before it has been told the view from which step holds.
 */
export interface ViewHeld {
  'number'?: (number);
  'step'?: (number | string | Long);
}

/**
 * Answers `hold`: the worker will not begin this step before it has been told the view from which step holds.
 */
export interface ViewHeld__Output {
  'number': (number);
  'step': (number);
}
