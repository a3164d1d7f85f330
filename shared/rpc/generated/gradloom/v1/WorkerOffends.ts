// Original file: proto/gradloom/v1/membership.proto


/**
 * A worker has spoilt more steps in a row than the run allows; every server says so.
 */
export interface WorkerOffends {
  'rank'?: (number);
  'sentence'?: (string);
}

/**
 * A worker has spoilt more steps in a row than the run allows; every server says so.
 */
export interface WorkerOffends__Output {
  'rank': (number);
  'sentence': (string);
}
