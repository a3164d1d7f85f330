// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Nothing of the worker is taken any more. How far it has come here.
 */
export interface WorkerFenced {
  'number'?: (number);
  /**
   * The open step.
   */
  'step'?: (number | string | Long);
  /**
   * Whether all that it owes this server in the open step is here.
   */
  'complete'?: (boolean);
  /**
   * Whether every block here has its initial values.
   */
  'initialized'?: (boolean);
}

/**
 * Nothing of the worker is taken any more. How far it has come here.
 */
export interface WorkerFenced__Output {
  'number': (number);
  /**
   * The open step.
   */
  'step': (number);
  /**
   * Whether all that it owes this server in the open step is here.
   */
  'complete': (boolean);
  /**
   * Whether every block here has its initial values.
   */
  'initialized': (boolean);
}
