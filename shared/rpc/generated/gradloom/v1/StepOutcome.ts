// Original file: proto/gradloom/v1/parameters.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The verdict on a step, as soon as all headers are there; under ssp and asp on the step of the worker that reads,
 * from its own header.
 */
export interface StepOutcome {
  'step'?: (number | string | Long);
  'skipped'?: (boolean);
  'samples'?: (number);
  /**
   * Means over all workers' samples.
   */
  'loss'?: (number | string);
  'accuracy'?: (number | string);
  /**
   * Where skipped: ranks whose gradients were not finite.
   */
  'notFinite'?: (number)[];
}

/**
 * The verdict on a step, as soon as all headers are there; under ssp and asp on the step of the worker that reads,
 * from its own header.
 */
export interface StepOutcome__Output {
  'step': (number);
  'skipped': (boolean);
  'samples': (number);
  /**
   * Means over all workers' samples.
   */
  'loss': (number);
  'accuracy': (number);
  /**
   * Where skipped: ranks whose gradients were not finite.
   */
  'notFinite': (number)[];
}
