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

assert(BLOCK_PAYLOAD_MAX_BYTES < MESSAGE_MAX_BYTES, 'a block must fit into one message');
assert(MESSAGE_MAX_BYTES <= FLOW_CONTROL_WINDOW_BYTES, 'a message must fit into one window');
assert(
  PUSH_CREDIT_BYTES >= 2 * MESSAGE_MAX_BYTES,
  'credit must let one block travel while another is applied',
);

// Data: what a source may hold, and what the cache of a host may take.

/** Files and folders of one source of data. */
export const SOURCE_ENTRIES_MAX = 2 * 1024 * KiB;
/** Characters of the path of one file within a source. */
export const SOURCE_PATH_CHARACTERS_MAX = 1024;
/** Largest file of CIFAR batches; it is read piece by piece. */
export const BATCH_FILE_MAX_BYTES = 2048 * MiB;
/** Largest text file of class names. */
export const CLASS_NAMES_MAX_BYTES = 256 * KiB;
/** Largest encoded image file; it is held whole while it is decoded. */
export const IMAGE_FILE_MAX_BYTES = 32 * MiB;
/** Images that are decoded at the same time. */
export const IMAGES_IN_FLIGHT_MAX = 32;
/** Encoded images held at the same time. */
export const IMAGES_IN_FLIGHT_MAX_BYTES = 64 * MiB;
/** Classes of one dataset. */
export const CLASSES_MAX = 64 * KiB;
/** Features of one record as they are stored: a decoded image of 1182 × 1182 pixels fits. */
export const RECORD_MAX_BYTES = 4 * MiB;
/** Records that are claimed, computed and committed to the cache together, */
export const CACHE_CHUNK_RECORDS = 256;
/** and the bytes of such a chunk, which holds one record at least. */
export const CACHE_CHUNK_MAX_BYTES = 8 * MiB;
/** Disk that the cached datasets of a host may take together; the least recently used give way. */
export const CACHE_MAX_BYTES = 16 * 1024 * MiB;
/** A chunk claimed this long ago is taken over even from a process that lives: it may be stopped, and computing
 * a chunk twice does no harm. */
export const CACHE_CLAIM_LEASE_MS = 30_000;
/** How often a process looks whether the chunks that others compute are done. */
export const CACHE_POLL_MS = 25;
/** When it says whom it waits for: a multiple of the poll. */
export const CACHE_WAIT_NOTICE_MS = 5_000;
/** Processes that may read one dataset of the cache at a time. */
export const CACHE_READERS_MAX = 1024;
/** Content hashes of source files that the cache remembers. */
export const CACHE_HASHES_MAX = 1024;
/** Batches that a loader assembles ahead of the one in use. */
export const PREFETCH_BATCHES = 1;

assert(CACHE_WAIT_NOTICE_MS % CACHE_POLL_MS === 0, 'the notice must fall on a poll');
assert(RECORD_MAX_BYTES <= CACHE_CHUNK_MAX_BYTES, 'a chunk must hold one record');
assert(IMAGE_FILE_MAX_BYTES <= IMAGES_IN_FLIGHT_MAX_BYTES, 'an image must be allowed in flight');
