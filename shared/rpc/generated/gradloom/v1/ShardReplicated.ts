// Original file: proto/gradloom/v1/membership.proto


/**
 * The primary of a shard says that a server which joins its copies has all of it, and that nothing leaves without that
 * server from now on: it is a backup as soon as a view says so.
 */
export interface ShardReplicated {
  'shard'?: (number);
  'server'?: (number);
}

/**
 * The primary of a shard says that a server which joins its copies has all of it, and that nothing leaves without that
 * server from now on: it is a backup as soon as a view says so.
 */
export interface ShardReplicated__Output {
  'shard': (number);
  'server': (number);
}
