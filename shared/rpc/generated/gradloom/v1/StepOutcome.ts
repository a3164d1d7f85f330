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
  /**
   * With backup workers: the ranks whose contributions the step takes, in order; samples, loss and accuracy are theirs,
   * and the subscriptions of theirs alone bring its new blocks. Whoever is not among them was late: nothing of its
   * contributions is applied, and it fetches the newest blocks.
   */
  'contributors'?: (number)[];
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
  /**
   * With backup workers: the ranks whose contributions the step takes, in order; samples, loss and accuracy are theirs,
   * and the subscriptions of theirs alone bring its new blocks. Whoever is not among them was late: nothing of its
   * contributions is applied, and it fetches the newest blocks.
   */
  'contributors': (number)[];
}
