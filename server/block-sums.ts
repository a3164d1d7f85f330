// A block's sum of contributions. It lies where the last one lay that is needed no more: of a shard's blocks one or two
// are being summed at a time, and what stays in the cache is neither read from memory nor written there.
// Where contributions bring few elements each (top-k), so few together that a pass over the block would cost more, the sum
// is a list, and it, its update and the difference that is sent take these elements alone.
import assert from 'node:assert';
import type { Codec } from '../shared/codec/codec.js';
import { leavesOthersAlone } from '../shared/optimizer/apply.js';
import type { BlockState, Summed } from './block-state.js';
import type { ShardBlocks } from './shard-blocks.js';

/** From a share of a block's elements on, one pass over all of them is faster. */
const MARKED_SHARE_MAX = 1 / 16;

/** Adds a contribution to the sum of a step; it lies at an address in the memory of the kernels. */
export function addToSum(blocks: ShardBlocks, state: BlockState, step: number, summed: Summed): void {
  const { kernels, map } = blocks;
  const { memory, block } = state;
  const { elements } = block;
  const { address, scale, weight, first } = summed;
  // A sum that was begun and dropped has a place.
  if (memory.accumulator < 0) {
    const free = map.accumulators.get(elements)?.pop();
    assert(free !== undefined, 'there is room for a sum of every block');
    memory.accumulator = free;
  }
  const { accumulator, marks } = memory;
  const codec = blocks.codecs(step)[state.position];
  if (first) {
    state.marked = isSumOfFew(blocks, state, step);
    // An update of all elements follows, of which the marks say nothing.
    if (marks >= 0 && !state.marked) kernels.forgetMarks(marks, false);
  }
  if (state.marked && codec.lossy)
    codec.marked?.accumulate(kernels, address, elements, scale, weight, accumulator, marks, first);
  else codec.accumulate(kernels, address, elements, scale, weight, accumulator, first);
  state.summed = first ? 1 : state.summed + 1;
  state.summedStep = step;
}

/** The sum of a block has been applied, and nobody is going to be sent it. Lists are needed for the sums that follow. */
export function releaseSum({ map }: ShardBlocks, { memory, block }: BlockState): void {
  if (memory.accumulator < 0 || memory.marks >= 0) return;
  map.accumulators.get(block.elements)?.push(memory.accumulator);
  memory.accumulator = -1;
}

/** A block is about to have the update of a sum that lies elsewhere, of all its elements. */
export function sumIsElsewhere({ kernels }: ShardBlocks, state: BlockState): void {
  state.marked = false;
  if (state.memory.marks >= 0) kernels.forgetMarks(state.memory.marks, false);
}

/** The sum of a block as an array, in memory that the next call and the next encoding overwrite. */
export function sumAsArray({ kernels, map }: ShardBlocks, { memory, marked, block }: BlockState): Uint8Array {
  if (marked) kernels.expandMarked(memory.accumulator, block.elements, memory.marks, map.outgoing);
  return kernels.u8(marked ? map.outgoing : memory.accumulator, 4 * block.elements);
}

/** Whether few of a block's elements change in a step, and all that do are in its sum. */
function isSumOfFew(
  blocks: ShardBlocks,
  { memory, position, optimizer, rule, block }: BlockState,
  step: number,
): boolean {
  if (memory.marks < 0 || !leavesOthersAlone(optimizer, rule)) return false;
  const few = block.elements * MARKED_SHARE_MAX;
  const countOf = (codec: Codec) =>
    (codec.lossy ? codec.marked?.count(block.elements) : undefined) ?? Infinity;
  // Of each worker at least one element travels: together they may be more than their percentage.
  const summed = blocks.workers * countOf(blocks.codecs(step)[position]);
  return summed <= few && countOf(blocks.updateCodecs(step)[position]) <= few;
}
