// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The open step waits for other servers: for norms of the whole gradient, or for whose contributions it takes. Told
 * every second while it does, and once, without servers, when it does no more.
 */
export interface ServerProgress {
  'step'?: (number | string | Long);
  /**
   * Their ids.
   */
  'servers'?: (number)[];
  'seconds'?: (number | string);
}

/**
 * The open step waits for other servers: for norms of the whole gradient, or for whose contributions it takes. Told
 * every second while it does, and once, without servers, when it does no more.
 */
export interface ServerProgress__Output {
  'step': (number);
  /**
   * Their ids.
   */
  'servers': (number)[];
  'seconds': (number);
}
