// Original file: proto/gradloom/v1/model.proto

import type { Long } from '@grpc/proto-loader';

/**
 * When snapshots are taken; with neither, when the keeper is asked for one. One at a time: what falls due while one is
 * written is postponed.
 */
export interface Snapshots {
  /**
   * At every multiple of so many steps; 0: not.
   */
  'everySteps'?: (number | string | Long);
  /**
   * So long after the last one; 0: not.
   */
  'everySeconds'?: (number | string);
  /**
   * Older ones of the run are removed when so many newer ones are whole.
   */
  'keep'?: (number);
}

/**
 * When snapshots are taken; with neither, when the keeper is asked for one. One at a time: what falls due while one is
 * written is postponed.
 */
export interface Snapshots__Output {
  /**
   * At every multiple of so many steps; 0: not.
   */
  'everySteps': (number);
  /**
   * So long after the last one; 0: not.
   */
  'everySeconds': (number);
  /**
   * Older ones of the run are removed when so many newer ones are whole.
   */
  'keep': (number);
}
