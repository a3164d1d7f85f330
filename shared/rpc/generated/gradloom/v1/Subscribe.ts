// Original file: proto/gradloom/v1/parameters.proto

import type { Codec as _gradloom_v1_Codec, Codec__Output as _gradloom_v1_Codec__Output } from '../../gradloom/v1/Codec.js';
import type { Long } from '@grpc/proto-loader';

/**
 * From now on: every block of this server as soon as it is updated (with backup workers: by a step that took the
 * subscriber's contributions), and every step's outcome. Under ssp and asp, for
 * workers only: after each of the worker's own steps (also a skipped one) every block that is exchanged, once, and
 * the outcome of that step; under ssp a block comes when it is as new as the run's staleness asks. With a lossy codec,
 * for workers only, a block is the difference to what the subscriber holds: it begins with the exact initial values
 * (Fetch at step 0) and adds, in fp32, whatever comes; so it must subscribe before the first step.
 */
export interface Subscribe {
  'codec'?: (_gradloom_v1_Codec);
  /**
   * The subscriber goes on after its stream broke, with these steps decided: what the shard has beyond them (the outcome
   * of the step that is next, and its blocks, exactly and as if fetched) comes before `ready`.
   */
  'resumes'?: (boolean);
  'step'?: (number | string | Long);
}

/**
 * From now on: every block of this server as soon as it is updated (with backup workers: by a step that took the
 * subscriber's contributions), and every step's outcome. Under ssp and asp, for
 * workers only: after each of the worker's own steps (also a skipped one) every block that is exchanged, once, and
 * the outcome of that step; under ssp a block comes when it is as new as the run's staleness asks. With a lossy codec,
 * for workers only, a block is the difference to what the subscriber holds: it begins with the exact initial values
 * (Fetch at step 0) and adds, in fp32, whatever comes; so it must subscribe before the first step.
 */
export interface Subscribe__Output {
  'codec': (_gradloom_v1_Codec__Output);
  /**
   * The subscriber goes on after its stream broke, with these steps decided: what the shard has beyond them (the outcome
   * of the step that is next, and its blocks, exactly and as if fetched) comes before `ready`.
   */
  'resumes': (boolean);
  'step': (number);
}
