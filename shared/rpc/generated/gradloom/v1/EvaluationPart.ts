// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * One worker's share of an evaluation; the keeper adds the shares in rank order.
 */
export interface EvaluationPart {
  'step'?: (number | string | Long);
  'records'?: (number);
  'lossSum'?: (number | string);
  'correct'?: (number | string);
  /**
   * The view by whose workers the test set was divided.
   */
  'view'?: (number);
  /**
   * Handed in to the keeper before, who has not answered: it may have told the others the whole.
   */
  'again'?: (boolean);
}

/**
 * One worker's share of an evaluation; the keeper adds the shares in rank order.
 */
export interface EvaluationPart__Output {
  'step': (number);
  'records': (number);
  'lossSum': (number);
  'correct': (number);
  /**
   * The view by whose workers the test set was divided.
   */
  'view': (number);
  /**
   * Handed in to the keeper before, who has not answered: it may have told the others the whole.
   */
  'again': (boolean);
}
