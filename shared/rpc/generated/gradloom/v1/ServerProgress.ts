// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The open step has waited for other servers for longer than is usual. Told every second while it does, and once,
 * without servers, when it does no more.
 */
export interface ServerProgress {
  'step'?: (number | string | Long);
  /**
   * Ids of those whose part in an agreement is missing: norms of the whole gradient, or whose contributions it takes.
   */
  'servers'?: (number)[];
  'seconds'?: (number | string);
  /**
   * Ids of those whose copy of an update is missing.
   */
  'copies'?: (number)[];
  /**
   * The median of the last waits of this kind; 0: none has ended yet.
   */
  'usualSeconds'?: (number | string);
}

/**
 * The open step has waited for other servers for longer than is usual. Told every second while it does, and once,
 * without servers, when it does no more.
 */
export interface ServerProgress__Output {
  'step': (number);
  /**
   * Ids of those whose part in an agreement is missing: norms of the whole gradient, or whose contributions it takes.
   */
  'servers': (number)[];
  'seconds': (number);
  /**
   * Ids of those whose copy of an update is missing.
   */
  'copies': (number)[];
  /**
   * The median of the last waits of this kind; 0: none has ended yet.
   */
  'usualSeconds': (number);
}
