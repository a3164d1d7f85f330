// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A part of a snapshot is written and flushed, or why it is not.
 */
export interface SnapshotPart {
  'step'?: (number | string | Long);
  /**
   * Name of the file in the snapshot's folder.
   */
  'file'?: (string);
  'bytes'?: (number | string | Long);
  /**
   * SHA-256 of the file up to its data. It holds those of the data.
   */
  'headerSha256'?: (Buffer | Uint8Array | string);
  /**
   * The step had begun when the order came: another, further ahead, is wanted.
   */
  'late'?: (boolean);
  /**
   * Not empty: why there is no file.
   */
  'failure'?: (string);
  /**
   * From the cut to the last flush.
   */
  'seconds'?: (number | string);
  /**
   * Of servers: which shard it is.
   */
  'shard'?: (number);
}

/**
 * A part of a snapshot is written and flushed, or why it is not.
 */
export interface SnapshotPart__Output {
  'step': (number);
  /**
   * Name of the file in the snapshot's folder.
   */
  'file': (string);
  'bytes': (number);
  /**
   * SHA-256 of the file up to its data. It holds those of the data.
   */
  'headerSha256': (Buffer);
  /**
   * The step had begun when the order came: another, further ahead, is wanted.
   */
  'late': (boolean);
  /**
   * Not empty: why there is no file.
   */
  'failure': (string);
  /**
   * From the cut to the last flush.
   */
  'seconds': (number);
  /**
   * Of servers: which shard it is.
   */
  'shard': (number);
}
