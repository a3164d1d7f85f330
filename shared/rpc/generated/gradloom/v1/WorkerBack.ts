// Original file: proto/gradloom/v1/membership.proto


/**
 * A worker that comes back after its keeper has changed. It is told what it may have missed: the view in force, the end.
 */
export interface WorkerBack {
  'run'?: (string);
  /**
   * Number of the view under which it works.
   */
  'view'?: (number);
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
}
