// How much memory a shard takes, and where each block's arrays stand in it. One WebAssembly memory per shard,
// sized once: it never grows, and it goes when the run ends.
import type { Block } from '../shared/blocks/blocks.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../shared/limits.js';
import { initialSlots, type OptimizerMemory } from '../shared/optimizer/apply.js';
import { STAGE_SPARE_BYTES } from '../shared/rpc/frame.js';
import type { OptimizerSpec } from '../shared/run-spec.js';

const ALIGN_BYTES = 64;
/** What the kernels keep for themselves at the bottom, generously. */
const KERNELS_BYTES = 64 * 1024;
/** Two payloads: the one that came in, the one that goes out. */
const SCRATCH_BYTES = 2 * BLOCK_PAYLOAD_MAX_BYTES + ALIGN_BYTES;

const aligned = (bytes: number) => Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;

/** fp32 arrays per block: values; for what is exchanged the accumulator; for what is trained the optimizer's slots. */
function arraysOf(block: Block, optimizer: OptimizerSpec): number {
  if (block.kind === 'frozen') return 1;
  return block.kind === 'state' ? 2 : 2 + initialSlots(optimizer).length;
}

/** Bytes that one block takes on the server that owns it. */
export function blockBytes(block: Block, optimizer: OptimizerSpec): number {
  return arraysOf(block, optimizer) * aligned(block.elements * 4);
}

/** Bytes that a shard of these blocks takes. */
export function shardBytes(blocks: readonly Block[], optimizer: OptimizerSpec): number {
  return blocks.reduce((sum, block) => sum + blockBytes(block, optimizer), KERNELS_BYTES + SCRATCH_BYTES);
}

/** Bytes that every shard takes whatever it holds. */
export const SHARD_FIXED_BYTES = KERNELS_BYTES + SCRATCH_BYTES;

/** Addresses are -1 where the block has no such array. */
export type BlockMemory = OptimizerMemory;

export interface ShardMemoryMap {
  readonly incoming: number;
  readonly outgoing: number;
  readonly blocks: ReadonlyMap<number, BlockMemory>;
}

/** Addresses of everything in a memory of `shardBytes(...)` bytes, from `firstFreeByte` up. */
export function mapShard(
  blocks: readonly Block[],
  optimizer: OptimizerSpec,
  firstFreeByte: number,
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
  for (const block of blocks) {
    const arrays = Array.from({ length: arraysOf(block, optimizer) }, () => take(block.elements * 4));
    map.set(block.index, { values: arrays[0], accumulator: arrays[1] ?? -1, slots: arrays.slice(2) });
  }
  return { incoming, outgoing, blocks: map };
}
