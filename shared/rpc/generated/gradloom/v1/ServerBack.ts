// Original file: proto/gradloom/v1/membership.proto


/**
 * A server that comes back after its keeper has changed: who it is, and what it holds.
 */
export interface ServerBack {
  /**
   * As it was welcomed.
   */
  'id'?: (number);
  /**
   * Runs that it holds a shard of; those that have ended meanwhile are ended here too.
   */
  'runs'?: (string)[];
}

/**
 * A server that comes back after its keeper has changed: who it is, and what it holds.
 */
export interface ServerBack__Output {
  /**
   * As it was welcomed.
   */
  'id': (number);
  /**
   * Runs that it holds a shard of; those that have ended meanwhile are ended here too.
   */
  'runs': (string)[];
}
