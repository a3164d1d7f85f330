// Original file: proto/gradloom/v1/replication.proto


/**
 * Opens the stream.
 */
export interface ReplicaHello {
  'protocolVersion'?: (number);
  'run'?: (string);
  /**
   * View.term: whoever knows a later one in which the sender is not the primary refuses it.
   */
  'term'?: (number);
  'shard'?: (number);
  /**
   * ServerInfo.id of the sender.
   */
  'server'?: (number);
  'schemaHash'?: (Buffer | Uint8Array | string);
}

/**
 * Opens the stream.
 */
export interface ReplicaHello__Output {
  'protocolVersion': (number);
  'run': (string);
  /**
   * View.term: whoever knows a later one in which the sender is not the primary refuses it.
   */
  'term': (number);
  'shard': (number);
  /**
   * ServerInfo.id of the sender.
   */
  'server': (number);
  'schemaHash': (Buffer);
}
