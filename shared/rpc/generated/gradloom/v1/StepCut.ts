// Original file: proto/gradloom/v1/parameters.proto

import type { Long } from '@grpc/proto-loader';

/**
 * With backup workers: whose contributions a step takes. Told by the first server of the view, which takes those whose
 * headers of the step it had first.
 */
export interface StepCut {
  'step'?: (number | string | Long);
  /**
   * Ranks, in order; as many as the run has workers without its backup workers.
   */
  'contributors'?: (number)[];
}

/**
 * With backup workers: whose contributions a step takes. Told by the first server of the view, which takes those whose
 * headers of the step it had first.
 */
export interface StepCut__Output {
  'step': (number);
  /**
   * Ranks, in order; as many as the run has workers without its backup workers.
   */
  'contributors': (number)[];
}
