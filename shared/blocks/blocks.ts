// Cuts tensors into blocks: the unit of placement, transport, aggregation and versioning. Everyone who has
// the same manifest derives the same blocks in the same order, so a block is named by its index alone.
import { RunError } from '../errors.js';
import { BLOCK_ELEMENTS_MAX, BLOCKS_MAX } from '../limits.js';
import { elementsOf, type TensorKind, type TensorSpec } from './manifest.js';

export interface Block {
  /** Position in canonical order. */
  readonly index: number;
  /** Index of the tensor in the manifest. */
  readonly tensor: number;
  /** First element within the tensor. */
  readonly start: number;
  readonly elements: number;
  readonly kind: TensorKind;
}

/** Elements to which the start of a tensor is aligned in memory that holds a whole model (64 bytes). */
const ALIGN_ELEMENTS = 16;

export interface BlockLayout {
  readonly tensors: readonly TensorSpec[];
  readonly blocks: readonly Block[];
  /** Where each tensor starts in memory that holds the whole model, in elements. */
  readonly tensorOffsets: readonly number[];
  /** Elements of memory that hold the whole model, alignment included. */
  readonly elementsPadded: number;
  /** Elements of all tensors. */
  readonly elements: number;
}

/** The blocks of a model, in canonical order. Throws RunError where there would be more than BLOCKS_MAX. */
export function layoutBlocks(tensors: readonly TensorSpec[]): BlockLayout {
  const blocks: Block[] = [];
  const tensorOffsets: number[] = [];
  let offset = 0;
  let elements = 0;
  for (const [tensor, { shape, kind }] of tensors.entries()) {
    const total = elementsOf(shape);
    const blockCount = Math.ceil(total / BLOCK_ELEMENTS_MAX);
    if (blocks.length + blockCount > BLOCKS_MAX)
      throw new RunError(
        `expected a model of at most ${BLOCKS_MAX} blocks of ${BLOCK_ELEMENTS_MAX} elements, got more`,
      );
    tensorOffsets.push(offset);
    for (let start = 0; start < total; start += BLOCK_ELEMENTS_MAX) {
      const length = Math.min(BLOCK_ELEMENTS_MAX, total - start);
      blocks.push({ index: blocks.length, tensor, start, elements: length, kind });
    }
    offset += Math.ceil(total / ALIGN_ELEMENTS) * ALIGN_ELEMENTS;
    elements += total;
  }
  return { tensors, blocks, tensorOffsets, elementsPadded: offset, elements };
}

/** Where a block starts in memory that holds the whole model, in elements. */
export function blockOffset(layout: BlockLayout, block: Block): number {
  return layout.tensorOffsets[block.tensor] + block.start;
}
