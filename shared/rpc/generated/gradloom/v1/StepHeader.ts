// Original file: proto/gradloom/v1/parameters.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Sent to every server before a worker's contributions of a step. Verdicts on the whole step are taken
 * on headers, before any block is applied.
 */
export interface StepHeader {
  'step'?: (number | string | Long);
  'samples'?: (number);
  /**
   * False: some gradient is NaN or infinite. The step is skipped everywhere and no contributions follow.
   */
  'allFinite'?: (boolean);
  /**
   * Power of two by which the gradients were multiplied.
   */
  'lossScale'?: (number | string);
  /**
   * Sums over this worker's samples.
   */
  'lossSum'?: (number | string);
  'correct'?: (number | string);
  /**
   * The view under which the step is taken, and with it the contributions that follow on this stream.
   */
  'view'?: (number);
}

/**
 * Sent to every server before a worker's contributions of a step. Verdicts on the whole step are taken
 * on headers, before any block is applied.
 */
export interface StepHeader__Output {
  'step': (number);
  'samples': (number);
  /**
   * False: some gradient is NaN or infinite. The step is skipped everywhere and no contributions follow.
   */
  'allFinite': (boolean);
  /**
   * Power of two by which the gradients were multiplied.
   */
  'lossScale': (number);
  /**
   * Sums over this worker's samples.
   */
  'lossSum': (number);
  'correct': (number);
  /**
   * The view under which the step is taken, and with it the contributions that follow on this stream.
   */
  'view': (number);
}
