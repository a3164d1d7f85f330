// Original file: proto/gradloom/v1/membership.proto

import type { ServerTime as _gradloom_v1_ServerTime, ServerTime__Output as _gradloom_v1_ServerTime__Output } from '../../gradloom/v1/ServerTime.js';

/**
 * What the primary of shards has measured of them. Told every second.
 */
export interface ShardTimes {
  /**
   * How long it waits for its backups, once all updates of a step are on their way to them: means over the last steps, by
   * backup; of the step under way where it is longer already.
   */
  'backups'?: (_gradloom_v1_ServerTime)[];
  /**
   * The median of the last steps, and how long one may last before it is told who is waited for; 0: none has ended here.
   */
  'usualStepSeconds'?: (number | string);
  'noticeSeconds'?: (number | string);
}

/**
 * What the primary of shards has measured of them. Told every second.
 */
export interface ShardTimes__Output {
  /**
   * How long it waits for its backups, once all updates of a step are on their way to them: means over the last steps, by
   * backup; of the step under way where it is longer already.
   */
  'backups': (_gradloom_v1_ServerTime__Output)[];
  /**
   * The median of the last steps, and how long one may last before it is told who is waited for; 0: none has ended here.
   */
  'usualStepSeconds': (number);
  'noticeSeconds': (number);
}
