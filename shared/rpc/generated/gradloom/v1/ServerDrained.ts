// Original file: proto/gradloom/v1/membership.proto

import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';

/**
 * The server holds nothing any more, and goes; or it cannot be emptied, and why.
 */
export interface ServerDrained {
  'refusal'?: (_gradloom_v1_Refusal | null);
}

/**
 * The server holds nothing any more, and goes; or it cannot be emptied, and why.
 */
export interface ServerDrained__Output {
  'refusal': (_gradloom_v1_Refusal__Output | null);
}
