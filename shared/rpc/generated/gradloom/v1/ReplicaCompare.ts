// Original file: proto/gradloom/v1/replication.proto


/**
 * Asks what a block has come to.
 */
export interface ReplicaCompare {
  'block'?: (number);
}

/**
 * Asks what a block has come to.
 */
export interface ReplicaCompare__Output {
  'block': (number);
}
