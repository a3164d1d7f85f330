// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The worker has seen the last step. The run ends when all its workers are done.
 */
export interface RunDone {
  /**
   * Payload of this worker's steps that went over the network.
   */
  'bytesPushed'?: (number | string | Long);
  'bytesPulled'?: (number | string | Long);
  /**
   * Steps that it has done, as servers count them.
   */
  'steps'?: (number | string | Long);
  /**
   * Payload that was sent once more, after a stream had broken.
   */
  'bytesRetried'?: (number | string | Long);
}

/**
 * The worker has seen the last step. The run ends when all its workers are done.
 */
export interface RunDone__Output {
  /**
   * Payload of this worker's steps that went over the network.
   */
  'bytesPushed': (number);
  'bytesPulled': (number);
  /**
   * Steps that it has done, as servers count them.
   */
  'steps': (number);
  /**
   * Payload that was sent once more, after a stream had broken.
   */
  'bytesRetried': (number);
}
