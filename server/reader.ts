// A reader of blocks on one server, and what waits for it.
import type * as grpc from '@grpc/grpc-js';
import type { DirectCodecName } from '../shared/codec/codec.js';
import type { Framed } from '../shared/rpc/frame.js';
import type { PullMessage__Output } from '../shared/rpc/generated/gradloom/v1/PullMessage.js';
import type { PullReply } from '../shared/rpc/generated/gradloom/v1/PullReply.js';
import type { InMemory } from '../shared/rpc/in-process.js';

export type PullCall = grpc.ServerDuplexStream<PullMessage__Output, PullReply | Framed | InMemory>;

export interface Queued {
  readonly block: number;
  /** The codec that a fetch asked for; undefined: of the subscription. */
  readonly fetched?: DirectCodecName;
  /** What the workers hold was asked for, instead of the values. */
  readonly held?: boolean;
  /** What was fetched, or with backup workers subscribed to, encoded before the block changed. */
  kept?: Framed;
  /** ssp, asp: the clock that the worker enters with it. */
  step?: number;
  /** No block: a worker that goes on after its stream broke has all that it missed. */
  readonly ready?: boolean;
}

/** A reader of blocks: a worker's subscription, or somebody's single fetch. */
export interface Reader {
  readonly call: PullCall;
  /** Rank of the worker whose stream it is; undefined: an observer. */
  readonly rank: number | undefined;
  /** It is in this process: it takes what is encoded at once, out of the shard's memory, and is never behind. */
  readonly near: boolean;
  subscribed: boolean;
  /** Blocks to send, in order; a block waits here at most once. */
  readonly queue: Queued[];
  /** Blocks of the subscription that stand in the queue; what is late is sent as it is then. */
  readonly queued: Map<number, Queued>;
  /** Messages handed to the stream that it has not flushed. */
  unsent: number;
  /** Small messages that the stream has not flushed. */
  unread: number;
  /** Fetches that wait for a step. */
  readonly fetches: {
    step: number;
    since: number;
    codec: DirectCodecName;
    blocks: readonly number[];
    held: boolean;
  }[];
}
