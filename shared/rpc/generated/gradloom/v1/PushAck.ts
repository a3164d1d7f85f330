// Original file: proto/gradloom/v1/parameters.proto

import type { Long } from '@grpc/proto-loader';

export interface PushAck {
  'step'?: (number | string | Long);
  /**
   * Blocks whose update includes the contribution, or that were skipped with their step. What came too late, with backup
   * workers, is released and not acknowledged.
   */
  'blocks'?: (number)[];
  /**
   * Payload bytes that may be sent in place of what was released.
   */
  'releasedBytes'?: (number | string | Long);
}

export interface PushAck__Output {
  'step': (number);
  /**
   * Blocks whose update includes the contribution, or that were skipped with their step. What came too late, with backup
   * workers, is released and not acknowledged.
   */
  'blocks': (number)[];
  /**
   * Payload bytes that may be sent in place of what was released.
   */
  'releasedBytes': (number);
}
