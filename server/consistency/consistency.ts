// What a consistency is: when a worker's contribution to a block is applied, what a step's verdict is, and when
// new values may be read. It decides; the work on memory is the shard's. Pure, as the shard is.
import type { Block } from '../../shared/blocks/blocks.js';
import type { StepNorms } from '../../shared/optimizer/norms.js';
import type { Bulk } from '../../shared/rpc/bulk.js';
import type { BlockNorms, Cut, Effect } from '../effects.js';
import type { Header } from '../step-headers.js';

/** What a consistency asks of the shard. Blocks are named by their index. */
export interface ShardWork {
  readonly workers: number;
  /** Workers that a step goes on without. */
  readonly backupWorkers: number;
  /** Whether this server decides which those are. */
  readonly leads: boolean;
  /** The blocks of this shard, in canonical order. */
  readonly blocks: readonly Block[];
  /**
   * Checks a payload and copies it to where the kernels read it: its address. Throws Refused.
   * @param lossScale that is in the worker's gradients
   */
  receive(bulk: Bulk, worker: number, lossScale: number): number;
  /** Copies a payload that was checked before. */
  restage(payload: Buffer): number;
  /** accumulator = (first ? 0 : accumulator) + weight · payload. */
  sum(block: number, address: number, scale: number, weight: number, first: boolean): void;
  /**
   * One update from the accumulator times `gradientScale`, by the optimizer. Non-trainable state becomes that
   * product itself, `kept` times its old values added to the accumulator before.
   */
  apply(block: number, gradientScale: number, kept?: number): void;
  /** There where the optimizer waits for norms of the whole gradient: of all blocks of the model. */
  readonly norms?: StepNorms;
  /** Squared norms of a summed block in a round; see `measureBlock`. */
  measure(block: number, round: number, gradientScale: number): number[];
}

/** Of how many steps of each worker a block holds the updates: the fewest and the most. */
export interface Clocks {
  readonly min: number;
  readonly max: number;
}

export interface Consistency {
  /** Steps that every worker has done here. */
  readonly step: number;
  /** Workers whose header of their open step is not here. */
  readonly missingHeaders: number;
  /** Payload bytes of contributions that wait for their turn. */
  readonly heldBytes: number;
  /** What a worker says of its step before its contributions. Throws Refused. */
  header(worker: number, step: number, header: Header): Effect[];
  /** One worker's contribution to a block that is exchanged. Throws Refused; then nothing has changed. */
  contribution(worker: number, bulk: Bulk): Effect[];
  /** What another server says of its blocks. Throws Refused; then nothing has changed. */
  normsOfOthers?(norms: BlockNorms): Effect[];
  /** Whose contributions the open step takes, as the server that decides says. Throws Refused; then nothing has changed. */
  cut?(cut: Cut): Effect[];
  /** Whether the open step waits for nothing but that. */
  readonly awaitsCut?: boolean;
  /** Blocks of other servers whose norms the open step waits for. */
  missingNorms?(): number[];
  /** Ranks that somebody, or the open step, waits for. */
  waitingFor(): number[];
  /** Ranks that have not done `step` steps. */
  behind(step: number): number[];
  clocksOf(block: number): Clocks;
  /** Blocks that are withheld of a worker that has done its step. */
  withheldOf(worker: number): number;
}
