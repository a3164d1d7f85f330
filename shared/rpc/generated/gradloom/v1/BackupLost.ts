// Original file: proto/gradloom/v1/membership.proto


/**
 * The primary of a shard cannot reach a backup, which may live: it waits until a view is without it.
 */
export interface BackupLost {
  'shard'?: (number);
  'server'?: (number);
  'reason'?: (string);
}

/**
 * The primary of a shard cannot reach a backup, which may live: it waits until a view is without it.
 */
export interface BackupLost__Output {
  'shard': (number);
  'server': (number);
  'reason': (string);
}
