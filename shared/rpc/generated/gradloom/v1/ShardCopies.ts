// Original file: proto/gradloom/v1/model.proto


/**
 * The servers that hold a shard, by ServerInfo.id.
 */
export interface ShardCopies {
  /**
   * Takes contributions, and gives parameters.
   */
  'primary'?: (number);
  /**
   * Have every update before anything of it leaves the primary; the first takes over when that is gone.
   */
  'backups'?: (number)[];
  /**
   * Are being made copies.
   */
  'joining'?: (number)[];
}

/**
 * The servers that hold a shard, by ServerInfo.id.
 */
export interface ShardCopies__Output {
  /**
   * Takes contributions, and gives parameters.
   */
  'primary': (number);
  /**
   * Have every update before anything of it leaves the primary; the first takes over when that is gone.
   */
  'backups': (number)[];
  /**
   * Are being made copies.
   */
  'joining': (number)[];
}
