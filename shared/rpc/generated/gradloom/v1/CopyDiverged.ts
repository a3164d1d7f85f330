// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The primary of a shard has found a block of a copy to be another than its own, and has sent it again.
 */
export interface CopyDiverged {
  'shard'?: (number);
  /**
   * ServerInfo.id of the server whose copy it was.
   */
  'server'?: (number);
  'block'?: (number);
  /**
   * Updates of the block.
   */
  'version'?: (number | string | Long);
}

/**
 * The primary of a shard has found a block of a copy to be another than its own, and has sent it again.
 */
export interface CopyDiverged__Output {
  'shard': (number);
  /**
   * ServerInfo.id of the server whose copy it was.
   */
  'server': (number);
  'block': (number);
  /**
   * Updates of the block.
   */
  'version': (number);
}
