// Original file: proto/gradloom/v1/membership.proto


/**
 * The worker has seen the last step. The run ends when all its workers are done.
 */
export interface RunDone {
}

/**
 * The worker has seen the last step. The run ends when all its workers are done.
 */
export interface RunDone__Output {
}
