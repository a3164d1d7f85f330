// Original file: proto/gradloom/v1/membership.proto


/**
 * The worker has seen the last step; rank 0's ends the run.
 */
export interface RunDone {
}

/**
 * The worker has seen the last step; rank 0's ends the run.
 */
export interface RunDone__Output {
}
