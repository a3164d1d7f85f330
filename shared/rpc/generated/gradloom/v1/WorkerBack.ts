// Original file: proto/gradloom/v1/membership.proto

import type { Evaluation as _gradloom_v1_Evaluation, Evaluation__Output as _gradloom_v1_Evaluation__Output } from '../../gradloom/v1/Evaluation.js';

/**
 * A worker that comes back after its keeper has changed. It is told what it may have missed: the view in force, the end.
 */
export interface WorkerBack {
  'run'?: (string);
  /**
   * Number of the view under which it works.
   */
  'view'?: (number);
  /**
   * The last that it was told: others may not have been.
   */
  'evaluated'?: (_gradloom_v1_Evaluation | null);
  /**
   * Of the last view that it was told.
   */
  'term'?: (number);
}

/**
 * A worker that comes back after its keeper has changed. It is told what it may have missed: the view in force, the end.
 */
export interface WorkerBack__Output {
  'run': (string);
  /**
   * Number of the view under which it works.
   */
  'view': (number);
  /**
   * The last that it was told: others may not have been.
   */
  'evaluated': (_gradloom_v1_Evaluation__Output | null);
  /**
   * Of the last view that it was told.
   */
  'term': (number);
}
