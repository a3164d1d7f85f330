// Original file: proto/gradloom/v1/membership.proto


/**
 * A worker is gone: end its streams and take nothing of it any more; answered by `fenced`.
 */
export interface FenceWorker {
  'run'?: (string);
  /**
   * Of the view that is made without it.
   */
  'number'?: (number);
  'rank'?: (number);
}

/**
 * A worker is gone: end its streams and take nothing of it any more; answered by `fenced`.
 */
export interface FenceWorker__Output {
  'run': (string);
  /**
   * Of the view that is made without it.
   */
  'number': (number);
  'rank': (number);
}
