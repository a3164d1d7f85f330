// How much memory a shard takes, and where each block's arrays stand in it. One WebAssembly memory per shard,
// sized once: it never grows, and it goes when the run ends.
import type { Block } from '../shared/blocks/blocks.js';
import type { CodecName } from '../shared/codec/codec.js';
import { codecs } from '../shared/codec/registry.js';
import { MARKS_BYTES } from '../shared/kernels/kernels.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../shared/limits.js';
import { initialSlots, type OptimizerMemory } from '../shared/optimizer/apply.js';
import type { OptimizerSpec } from '../shared/optimizer/spec.js';
import { STAGE_SPARE_BYTES } from '../shared/rpc/frame.js';
import { blockCodec, blockOptimizer } from '../shared/run/block-codecs.js';

const ALIGN_BYTES = 64;
/** What the kernels keep for themselves at the bottom, generously. */
const KERNELS_BYTES = 64 * 1024;
/** Two payloads: the one that came in, the one that goes out. */
const SCRATCH_BYTES = 2 * BLOCK_PAYLOAD_MAX_BYTES + ALIGN_BYTES;

const aligned = (bytes: number) => Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;

/** Whether new values of a block travel as differences to what the workers hold, which is then held here too. */
const isHeld = (block: Block, codec: CodecName): boolean =>
  block.kind === 'trainable' && codecs[blockCodec(codec, block)].lossy;

/**
 * fp32 arrays per block: values; for what is exchanged the accumulator; for what is trained the optimizer's slots, and
 * with a lossy codec what the workers hold.
 */
function arraysOf(block: Block, optimizer: OptimizerSpec, codec: CodecName): number {
  if (block.kind === 'frozen') return 1;
  return 2 + slotsOf(block, optimizer, codec) + (isHeld(block, codec) ? 1 : 0);
}

const slotsOf = (block: Block, optimizer: OptimizerSpec, codec: CodecName): number =>
  block.kind === 'trainable' ? initialSlots(blockOptimizer(optimizer, codec, block)).length : 0;

/** Whether sums of a block may be of so few elements that it takes marks for them. */
const isMarked = (block: Block, codec: CodecName): boolean =>
  isHeld(block, codec) && blockCodec(codec, block) === 'topk';

/** Arrays of a block as it was before its last update: values and slots. */
const undoArraysOf = (block: Block, optimizer: OptimizerSpec, codec: CodecName): number =>
  block.kind === 'frozen' ? 0 : 1 + slotsOf(block, optimizer, codec);

/**
 * Bytes that one block takes on the server that owns it.
 * @param elastic whether its last update can be taken back
 */
export function blockBytes(
  block: Block,
  optimizer: OptimizerSpec,
  codec: CodecName,
  elastic = false,
): number {
  const undo = elastic ? undoArraysOf(block, optimizer, codec) : 0;
  const marks = isMarked(block, codec) ? aligned(MARKS_BYTES) : 0;
  return (arraysOf(block, optimizer, codec) + undo) * aligned(block.elements * 4) + marks;
}

/** Bytes of what a block has come to, of which a copy is made: values, slots, what the workers hold. */
export function stateBytes(block: Block, optimizer: OptimizerSpec, codec: CodecName): number {
  const arrays = 1 + slotsOf(block, optimizer, codec) + (isHeld(block, codec) ? 1 : 0);
  return 4 * block.elements * arrays;
}

/** Bytes that a shard of these blocks takes. */
export function shardBytes(
  blocks: readonly Block[],
  optimizer: OptimizerSpec,
  codec: CodecName,
  elastic = false,
): number {
  return blocks.reduce(
    (sum, block) => sum + blockBytes(block, optimizer, codec, elastic),
    KERNELS_BYTES + SCRATCH_BYTES,
  );
}

/** Bytes that every shard takes whatever it holds. */
export const SHARD_FIXED_BYTES = KERNELS_BYTES + SCRATCH_BYTES;

/** Addresses are -1 where the block has no such array. */
export interface BlockMemory extends OptimizerMemory {
  /** While the block has a sum: block-sums.ts. */
  accumulator: number;
  /** What the workers hold, where new values travel as differences to it. */
  readonly held: number;
  /** Of the accumulator, and of values and held: kernels/assembly/topk-marked.ts. */
  readonly marks: number;
  /** Values and slots before the last update; none where it cannot be taken back. */
  readonly undo: readonly number[];
}

export interface ShardMemoryMap {
  readonly incoming: number;
  readonly outgoing: number;
  readonly blocks: ReadonlyMap<number, BlockMemory>;
  /** Where sums may lie, by the elements of the blocks for which there is room: as many as there are such blocks. */
  readonly accumulators: ReadonlyMap<number, number[]>;
}

/** Addresses of everything in a memory of `shardBytes(...)` bytes, from `firstFreeByte` up. */
export function mapShard(
  blocks: readonly Block[],
  optimizer: OptimizerSpec,
  codec: CodecName,
  firstFreeByte: number,
  elastic = false,
): ShardMemoryMap {
  let next = aligned(firstFreeByte);
  const take = (bytes: number) => {
    const at = next;
    next += aligned(bytes);
    return at;
  };
  const incoming = take(BLOCK_PAYLOAD_MAX_BYTES + STAGE_SPARE_BYTES);
  const outgoing = take(BLOCK_PAYLOAD_MAX_BYTES);
  const map = new Map<number, BlockMemory>();
  const accumulators = new Map<number, number[]>();
  for (const block of blocks) {
    const arrays = Array.from({ length: arraysOf(block, optimizer, codec) }, () => take(block.elements * 4));
    const held = isHeld(block, codec) ? (arrays.pop() as number) : -1;
    const undo = Array.from({ length: elastic ? undoArraysOf(block, optimizer, codec) : 0 }, () =>
      take(block.elements * 4),
    );
    const marks = isMarked(block, codec) ? take(MARKS_BYTES) : -1;
    const [values, accumulator, ...slots] = arrays;
    if (accumulator !== undefined) {
      const alike = accumulators.get(block.elements);
      if (alike) alike.push(accumulator);
      else accumulators.set(block.elements, [accumulator]);
    }
    map.set(block.index, { values, accumulator: -1, slots, held, marks, undo });
  }
  return { incoming, outgoing, blocks: map, accumulators };
}
