// What an exchange is given: the memory it works on, who it is to whom, and whom it tells; and the header of a step.

import type { BlockLayout } from '../blocks/blocks.js';
import type { Kernels } from '../kernels/kernels.js';
import type { View__Output } from '../rpc/generated/gradloom/v1/View.js';
import type { ParametersStreams } from '../rpc/in-process.js';
import type { RunSpec } from '../run/spec.js';
import type { Maxima } from './maxima.js';

export interface ExchangeMemory {
  readonly kernels: Kernels;
  /** Byte addresses of fp32 arrays of `layout.elementsPadded`. */
  readonly gradients: number;
  readonly parameters: number;
  /** Byte address of room for the payload of a block and STAGE_SPARE_BYTES. */
  readonly scratch: number;
  /** Byte address of `residualBytes(...)` zeros, which only a lossy codec needs. */
  readonly residuals?: number;
  /** There where another thread helps to measure the gradients: it has begun when `measure` is called. */
  readonly maxima?: Maxima;
}

/** Somebody is waited for, for longer than is usual. */
export type WaitTold = {
  step: number;
  /** Workers and servers, each in words. */
  workers: string[];
  seconds: number;
  /** What such waits take in the median; left out where none has ended yet. */
  usualSeconds?: number;
  /** HOST:PORT of who says so. */
  server: string;
};

export interface ExchangeOptions {
  run: string;
  /** Rank in the view; undefined: an observer, who only fetches. */
  rank: number | undefined;
  spec: RunSpec;
  layout: BlockLayout;
  view: View__Output;
  memory: ExchangeMemory;
  peerDeadlineMs: number;
  /** Streams to a server that is reached other than over the network: a node's own shard. */
  streamsTo?(address: string): ParametersStreams | undefined;
  /** From the step that is next another view holds; told at the end of the step before, with every block at hand. */
  onView?(view: View__Output, spec: RunSpec): void;
  /** Of an observer, whom nobody tells: the view as it is now. Throws RunError where the run is over. */
  findView?(): Promise<View__Output>;
  /** A shard has gone over to another server, in the middle of this step. */
  onTakeover?(takeover: { shard: number; step: number; from: string; to: string }): void;
  /** Milliseconds; by default those of the process. */
  clock?: { readonly now: () => number; readonly sleep: (ms: number) => Promise<void> };
  /** Told by a server while this client waits: once it has lasted longer than is usual, and then every second. */
  onWaiting(waiting: WaitTold): void;
}

export interface StepHeaderFields {
  samples: number;
  /** Whether every gradient can be encoded; see `Exchange.measure`. */
  allFinite: boolean;
  lossScale: number;
  lossSum: number;
  correct: number;
}
