// Every limit of the system, and the relations between them, checked when this file is loaded.
// Units stand last in a name.
import assert from 'node:assert';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Most elements of one block: the unit of placement, transport, aggregation and versioning. */
export const BLOCK_ELEMENTS_MAX = 256 * KiB;
/** Largest payload of one block, in the widest codec (fp32). */
export const BLOCK_PAYLOAD_MAX_BYTES = BLOCK_ELEMENTS_MAX * 4;
/** Largest gRPC message that is accepted: one block and its envelope. */
export const MESSAGE_MAX_BYTES = BLOCK_PAYLOAD_MAX_BYTES + 64 * KiB;
/** Largest control message (manifest, view): bounds what a join can make a server allocate. */
export const CONTROL_MESSAGE_MAX_BYTES = 4 * MiB;
/** HTTP/2 receive window of a stream and of a connection, on both sides. */
export const FLOW_CONTROL_WINDOW_BYTES = 8 * MiB;
/** Contribution payload that one worker may have unreleased on one server. */
export const PUSH_CREDIT_BYTES = 16 * MiB;
/** Tensors of one model. */
export const TENSORS_MAX = 16 * KiB;
/** Dimensions of one tensor. */
export const TENSOR_RANK_MAX = 8;
/** Characters of a tensor's, job's or run's name. */
export const NAME_CHARACTERS_MAX = 256;
/** Workers of one run. */
export const WORKERS_MAX = 1024;
/** Servers of one mesh. */
export const SERVERS_MAX = 1024;
/** Blocks of one model: 2^16 blocks of 2^18 elements are 2^34 parameters. */
export const BLOCKS_MAX = 64 * KiB;
/** WebAssembly memory that one shard may take: the 4 GiB of a 32-bit address space, less one page. */
export const SHARD_MEMORY_MAX_BYTES = 4096 * MiB - 64 * KiB;

// Compute backend
/** Scratch memory for the patches of a convolution: fits into an L2 cache beside the packed operands. */
export const WASM_PATCHES_BYTES = 384 * KiB;

assert(BLOCK_PAYLOAD_MAX_BYTES < MESSAGE_MAX_BYTES, 'a block must fit into one message');
assert(MESSAGE_MAX_BYTES <= FLOW_CONTROL_WINDOW_BYTES, 'a message must fit into one window');
assert(
  PUSH_CREDIT_BYTES >= 2 * MESSAGE_MAX_BYTES,
  'credit must let one block travel while another is applied',
);
