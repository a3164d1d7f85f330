// Original file: proto/gradloom/v1/membership.proto

import type { ServerTime as _gradloom_v1_ServerTime, ServerTime__Output as _gradloom_v1_ServerTime__Output } from '../../gradloom/v1/ServerTime.js';

/**
 * What a step takes at a worker: means over its last steps, in seconds.
 */
export interface StepTimes {
  /**
   * Steps behind the means.
   */
  'steps'?: (number);
  'data'?: (number | string);
  'rows'?: (number | string);
  'compute'?: (number | string);
  'optimizer'?: (number | string);
  'encode'?: (number | string);
  /**
   * Sending, the servers' work, and waiting for the other workers.
   */
  'wait'?: (number | string);
  'decode'?: (number | string);
  /**
   * By server, of those that hold blocks: from the beginning of the exchange to its last block; of the exchange under
   * way as long as blocks of it are missing for longer than that.
   */
  'servers'?: (_gradloom_v1_ServerTime)[];
  /**
   * Ids of the servers whose blocks the exchange under way waits for.
   */
  'missing'?: (number)[];
}

/**
 * What a step takes at a worker: means over its last steps, in seconds.
 */
export interface StepTimes__Output {
  /**
   * Steps behind the means.
   */
  'steps': (number);
  'data': (number);
  'rows': (number);
  'compute': (number);
  'optimizer': (number);
  'encode': (number);
  /**
   * Sending, the servers' work, and waiting for the other workers.
   */
  'wait': (number);
  'decode': (number);
  /**
   * By server, of those that hold blocks: from the beginning of the exchange to its last block; of the exchange under
   * way as long as blocks of it are missing for longer than that.
   */
  'servers': (_gradloom_v1_ServerTime__Output)[];
  /**
   * Ids of the servers whose blocks the exchange under way waits for.
   */
  'missing': (number)[];
}
