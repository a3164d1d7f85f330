// Which blocks of a shard are compared with its copies next: all in turn, a few a step, so that no step is long for it. A
// round takes as many steps as the shard's state has COMPARED_STEP_BYTES, and one block a step at least. Pure.
import { COMPARED_STEP_BYTES } from '../../shared/limits.js';
import type { BlockSums, Shard } from '../shard.js';

export class Rounds {
  readonly #shard: Shard;
  readonly #blocks: readonly number[];
  /** Position of the next block. */
  #next = 0;

  constructor(shard: Shard) {
    this.#shard = shard;
    this.#blocks = [...shard.blockIndices];
  }

  /**
   * The next few blocks as they are now, each at most once. One is left to the next round while the difference that its
   * last update makes to the workers is still to be encoded: until then what they hold has not moved here, but on the copies.
   */
  take(): BlockSums[] {
    const taken: BlockSums[] = [];
    let bytes = 0;
    for (let seen = 0; seen < this.#blocks.length && bytes < COMPARED_STEP_BYTES; seen++) {
      const block = this.#blocks[this.#next];
      this.#next = (this.#next + 1) % this.#blocks.length;
      if (!this.#shard.isInitialized(block) || this.#shard.isDifferenceDue(block)) continue;
      taken.push(this.#shard.sumsOf(block));
      for (const array of this.#shard.stateOf(block).arrays.values()) bytes += array.byteLength;
    }
    return taken;
  }
}
