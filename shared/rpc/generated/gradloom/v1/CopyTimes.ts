// Original file: proto/gradloom/v1/membership.proto

import type { ServerTime as _gradloom_v1_ServerTime, ServerTime__Output as _gradloom_v1_ServerTime__Output } from '../../gradloom/v1/ServerTime.js';

/**
 * How long the primary of shards waits for its backups, once all updates of a step are on their way to them: means over the
 * last steps, by backup; of the step under way where it is longer already.
 */
export interface CopyTimes {
  'backups'?: (_gradloom_v1_ServerTime)[];
}

/**
 * How long the primary of shards waits for its backups, once all updates of a step are on their way to them: means over the
 * last steps, by backup; of the step under way where it is longer already.
 */
export interface CopyTimes__Output {
  'backups': (_gradloom_v1_ServerTime__Output)[];
}
