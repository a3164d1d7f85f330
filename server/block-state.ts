// What a shard knows of a block, and what it tells of one.
import type { Block } from '../shared/blocks/blocks.js';
import type { TensorRule } from '../shared/optimizer/groups.js';
import type { OptimizerSpec } from '../shared/optimizer/spec.js';
import type { BlockMemory } from './shard-memory.js';

/** What is known of one block. */
export interface BlockState {
  readonly block: Block;
  /** Among the blocks of this shard. */
  readonly position: number;
  readonly memory: BlockMemory;
  readonly optimizer: OptimizerSpec;
  /** What the optimizer does differently on this block's tensor. */
  readonly rule: TensorRule;
  initialized: boolean;
  /** Largest magnitude of the values, where the last update told; the scale of the way down needs it. */
  absmax: number | undefined;
  /** Largest magnitude of what the last update has changed of them. */
  changedAbsmax: number | undefined;
  /** Updates applied. */
  version: number;
  /** The step of its last update, where that can be taken back. */
  undoStep: number | undefined;
  /** The step of its last update. */
  updateStep: number | undefined;
  /** What made the last sum a mean. */
  gradientScale: number;
  /** Contributions of `summedStep` that are in the accumulator. */
  summed: number;
  summedStep: number;
  /** Whether its sum is a list of few elements, not an array (block-sums.ts). */
  marked: boolean;
  /** Its last update has not been encoded for subscribers, who are to be sent differences. */
  differenceDue: boolean;
}

/** How a contribution that lies at an address was added to a sum. */
export interface Summed {
  readonly address: number;
  readonly scale: number;
  readonly weight: number;
  /** The sum begins with it. */
  readonly first: boolean;
}

/** A block's version, and views of the arrays that make up its state. */
export interface BlockSnapshot {
  readonly version: number;
  readonly arrays: ReadonlyMap<string, Float32Array<SharedArrayBuffer>>;
}

/** Takes the times of the phases of a block; the core itself has no clock. */
export interface PhaseProbe {
  now(): number;
  phase(name: 'decode' | 'aggregate' | 'optimizer' | 'encode' | 'replicate', since: number): void;
}

/** Encoded values of a block, in memory that the next call overwrites. */
export interface Encoded {
  /** Steps that every worker has done of which the block holds the updates. */
  step: number;
  version: number;
  /** Steps of the worker that is furthest behind, and ahead, of which the block holds the updates; bsp: both `step`. */
  clockMin: number;
  clockMax: number;
  codec: number;
  scale: number;
  /** Of the payload, where it leaves the process. */
  checksum?: number;
  payload: Uint8Array;
}

type Given = Pick<BlockState, 'block' | 'position' | 'memory' | 'optimizer' | 'rule'>;

/** A block that has no values yet. */
export const newBlock = ({ block, position, memory, optimizer, rule }: Given, step: number): BlockState => ({
  block,
  position,
  memory,
  optimizer,
  rule,
  initialized: false,
  absmax: undefined,
  changedAbsmax: undefined,
  version: 0,
  undoStep: undefined,
  updateStep: undefined,
  gradientScale: 1,
  summed: 0,
  summedStep: step,
  marked: false,
  differenceDue: false,
});
