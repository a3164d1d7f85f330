// What a shard answers to a message: the effects that its shell carries out, in order.
import type { Outcome } from './step-headers.js';

/** What servers tell each other of a step where the optimizer waits for norms; as many numbers a block as the round has. */
export interface BlockNorms {
  readonly step: number;
  readonly round: number;
  readonly blocks: readonly number[];
  readonly squares: readonly number[];
}

/** With backup workers: whose contributions a step takes, ranks in order. */
export interface Cut {
  readonly step: number;
  readonly contributors: readonly number[];
}

export type Effect =
  /** The update of `block` at `step` includes the worker's contribution, or the step was skipped. */
  | { kind: 'ack'; worker: number; step: number; block: number }
  /** The worker may send this many payload bytes more. */
  | { kind: 'release'; worker: number; bytes: number }
  /** The contribution was here before; nothing changed. */
  | { kind: 'duplicate' }
  /** With backup workers: a contribution whose step takes others was dropped; nothing changed. */
  | { kind: 'late' }
  /** bsp: the block has new values, for every subscriber, or of the workers for these. */
  | { kind: 'updated'; block: number; workers?: readonly number[] }
  /** ssp, asp: a worker's contribution was applied to the block. */
  | { kind: 'applied'; block: number }
  /** ssp, asp: the worker may have the block's values, as they stand, with which it enters clock `step`. */
  | { kind: 'answer'; worker: number; block: number; step: number }
  /** The verdict on a step: of all workers, or under ssp and asp of one. */
  | { kind: 'outcome'; outcome: Outcome; worker?: number }
  /** Squared norms of own blocks in a round of the open step, for all other servers. */
  | { kind: 'norms'; norms: BlockNorms }
  /** Whose contributions the open step takes, for all other servers. */
  | { kind: 'cut'; cut: Cut }
  /** Every worker has done `step` here: all blocks hold, at least, what belongs to it. */
  | { kind: 'closed'; step: number }
  /** What was done of a step is taken back: it is open again. */
  | { kind: 'withdrawn'; step: number }
  /** The block is again what it was before its last update, which was one of the step that is open now. */
  | { kind: 'undone'; block: number }
  /** The next view is in force from here on. */
  | { kind: 'view'; number: number }
  /** Every block has its initial values. */
  | { kind: 'initialized' };
