// Every limit of the system, and the relations between them, checked when this file is loaded.
// Units stand last in a name.
import assert from 'node:assert';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Most elements of one block: the unit of placement, transport, aggregation and versioning. */
export const BLOCK_ELEMENTS_MAX = 256 * KiB;
/** Largest payload of one block, in the widest codec (fp32). */
export const BLOCK_PAYLOAD_MAX_BYTES = BLOCK_ELEMENTS_MAX * 4;
/** Blocks of fewer elements travel exactly, whatever the codec: biases and the like, which are few and sensitive. */
export const LOSSY_BLOCK_ELEMENTS_MIN = 1024;
/** Largest message of the hot path: one block and its envelope. */
export const MESSAGE_MAX_BYTES = BLOCK_PAYLOAD_MAX_BYTES + 64 * KiB;
/** Largest control message (manifest, view): bounds what a join can make a server allocate. */
export const CONTROL_MESSAGE_MAX_BYTES = 8 * MiB;
/** HTTP/2 receive window of a stream and of a connection, on both sides. */
export const FLOW_CONTROL_WINDOW_BYTES = 8 * MiB;
/** Received messages of this size and more lie in memory that is used again, */
export const RECEIVE_POOLED_MIN_BYTES = 16 * KiB;
/** and of which so much is kept while nobody uses it. */
export const RECEIVE_POOL_MAX_BYTES = 32 * MiB;
/** V8's space for young objects in the exchange thread, three parts of 1 MiB; why small: `collectForBulk` in process.ts. */
export const EXCHANGE_YOUNG_MAX_MIB = 3;
/** Contribution payload that one worker may have unreleased on one server. */
export const PUSH_CREDIT_BYTES = 16 * MiB;
/** Bulk messages handed to one stream that it has not flushed yet. */
export const STREAM_UNSENT_MAX = 4;
/** The same of a stream in this process: the server's work on one is done before the next is begun. */
export const IN_PROCESS_UNSENT_MAX = 1;
/** Small messages (acknowledgements, outcomes) that a peer may leave unread on one stream. */
export const UNREAD_MAX = 4096;
/** Servers that hold each shard, where nobody says and there are as many. */
export const REPLICAS_DEFAULT = 2;
/** Most of them. */
export const REPLICAS_MAX = 2;
/** State of a shard that is compared with its copies in each step: whole blocks, until it is as much. */
export const COMPARED_STEP_BYTES = 4 * MiB;
/** Time between two tries to reach a server whose stream broke. */
export const RECONNECT_MS = 50;
/** A wait is told of after a deadline that is measured (usual.ts): before anything is, after so long; and again so often. */
export const WAITING_NOTICE_MS = 1_000;
/** No wait is told of before, however short waits usually are: nobody wants to hear of it. How often waits are looked at. */
export const NOTICE_MIN_MS = 250;
/** Waits by which it is measured what is usual: the last of them. */
export const USUAL_WAITS = 64;
/** Time that whoever holds a connection to a server that ends has to close it. */
export const SHUTDOWN_GRACE_MS = 1_000;
/** Time for the step under way to end after an interruption, before the worker leaves all the same. */
export const DRAIN_MS = 3_000;
/** Steps that an evaluator asks ahead of the current one, at most, so that no server is past them when it is asked. */
export const EVALUATION_AHEAD_MAX = 64;
/** How often an evaluator asks whether its run has begun. */
export const RUN_POLL_MS = 500;
/** How often whoever only reads asks who holds a shard that it has lost. */
export const VIEW_POLL_MS = 100;
/** Most steps from one evaluation of an evaluator to the next. */
export const EVERY_STEPS_MAX = 1_000_000_000;
/** How often a worker tells the keeper of its progress. */
export const HEARTBEAT_MS = 500;
/** Of these in a row a worker that lives may miss some; one that misses so many is told to be silent. */
export const HEARTBEATS_MISSED = 6;
/** Steps behind the times that a worker tells: few, so that a change shows soon. */
export const TIMED_STEPS = 8;
/** Bytes of a tf.data dataset that `fit` gathers in memory. */
export const FIT_DATASET_MAX_BYTES = 2048 * MiB;
/** Records of one batch of an evaluation. */
export const EVALUATION_BATCH = 250;
/** Lines of a child's stderr that its launcher remembers. */
export const CHILD_LAST_WORDS_MAX = 20;
/** Time for a child to end by itself before it is killed. */
export const CHILD_STOP_MS = 5_000;
/** Time for the keeper to answer `gradloom status`. */
export const STATUS_DEADLINE_MS = 5_000;
/** Time for the shards of a server to go over to others, when it is drained: as long as it takes to copy them. */
export const DRAIN_DEADLINE_MS = 3_600_000;
/** Tensors of one model. */
export const TENSORS_MAX = 16 * KiB;
/** Dimensions of one tensor. */
export const TENSOR_RANK_MAX = 8;
/** Characters of a tensor's, job's or run's name. */
export const NAME_CHARACTERS_MAX = 256;
/** Groups of parameters of one optimizer. */
export const GROUPS_MAX = 64;
/** Who reads a run on one server without being one of its workers; each may make it copy its shard once. */
export const OBSERVERS_MAX = 16;
/** Streams from which one worker reads on one server: it needs one. */
export const WORKER_READERS_MAX = 4;
/** Workers of one run. */
export const WORKERS_MAX = 1024;
/** Steps that a worker may be ahead of the slowest under ssp; whoever wants more wants asp. */
export const STALENESS_MAX = 10_000;
/** Servers of one mesh. */
export const SERVERS_MAX = 1024;
/** Runs that one mesh holds at a time, those included that wait for workers. */
export const RUNS_MAX = 64;
/** Blocks of one model: 2^16 blocks of 2^18 elements are 2^34 parameters. */
export const BLOCKS_MAX = 64 * KiB;
/** WebAssembly memory that one shard may take: the 4 GiB of a 32-bit address space, less one page. */
export const SHARD_MEMORY_MAX_BYTES = 4096 * MiB - 64 * KiB;

// Compute backend
/** Scratch memory for the patches of a convolution: fits into an L2 cache beside the packed operands. */
export const WASM_PATCHES_BYTES = 384 * KiB;

assert(BLOCK_PAYLOAD_MAX_BYTES < MESSAGE_MAX_BYTES, 'a block must fit into one message');
assert(MESSAGE_MAX_BYTES <= CONTROL_MESSAGE_MAX_BYTES, 'a connection must take either kind of message');
assert(
  TENSORS_MAX * (NAME_CHARACTERS_MAX + 8 * TENSOR_RANK_MAX) <= CONTROL_MESSAGE_MAX_BYTES,
  'a manifest must fit into one message',
);
assert(MESSAGE_MAX_BYTES <= FLOW_CONTROL_WINDOW_BYTES, 'a message must fit into one window');
assert(WAITING_NOTICE_MS % NOTICE_MIN_MS === 0, 'what is told again must fall on a look');
assert(DRAIN_MS < CHILD_STOP_MS, 'a child must be allowed to drain');
assert(
  PUSH_CREDIT_BYTES >= 2 * MESSAGE_MAX_BYTES,
  'credit must let one block travel while another is applied',
);

// Options and their file (shared/config).
/** Largest `--config` file that is read. */
export const CONFIG_FILE_MAX_BYTES = 1 * MiB;
/** Characters of a path or an address in an option. */
export const OPTION_CHARACTERS_MAX = 4096;
/** Passes over the training set that one run may ask for. */
export const EPOCHS_MAX = 1_000_000;
/** Steps of a warm-up or a decay that an option may ask for. */
export const SCHEDULE_STEPS_MAX = 1_000_000_000;
/** Samples of one global batch. */
export const BATCH_MAX_SAMPLES = 1024 * KiB;
/** Micro-batches of a worker's part of one batch. */
export const ACCUMULATE_MAX = 64 * KiB;
/** Steps that workers may take by themselves between two exchanges; DiLoCo's most are 2000. */
export const LOCAL_STEPS_MAX = 2000;
/** Steps in a row that a worker may be allowed to spoil. */
export const REFUSALS_MAX = 1_000_000;
/** And where nobody says: once may be chance, three times in a row is not. */
export const REFUSALS_LIMIT_DEFAULT = 3;
/** Longest time that a silent peer may be waited for. */
export const PEER_DEADLINE_MAX_SECONDS = 3600;

// The HTTP endpoint of metrics (shared/metrics).
/** Connections that are open at once; more are closed at once. */
export const METRICS_CONNECTIONS_MAX = 64;
/** Time that a client has to send its request. */
export const METRICS_REQUEST_MS = 5_000;
/** Time that requests under way have to end when the endpoint is closed. */
export const METRICS_DRAIN_MS = 1_000;

// Results of a run and files of tensors (shared/safetensors, worker/results).
/** Largest JSON header of a safetensors file: room for TENSORS_MAX entries with the longest names. */
export const SAFETENSORS_HEADER_MAX_BYTES = 32 * MiB;
/** Largest model.json of a saved LayersModel. */
export const MODEL_JSON_MAX_BYTES = 64 * MiB;
/** Rows of the loss curve that wait for a slow disk before the run is stopped. */
export const CURVE_PENDING_MAX_BYTES = 1 * MiB;
/** Points of a line in the picture of the loss curve. */
export const CURVE_POINTS_MAX = 2_000;

assert(
  SAFETENSORS_HEADER_MAX_BYTES >= TENSORS_MAX * (6 * NAME_CHARACTERS_MAX + 256),
  'a header must hold the largest model, with every character of a name escaped',
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
/** Longest line of a file of texts; it is held whole while it is read. */
export const TEXT_LINE_MAX_BYTES = 1 * MiB;
/** Ids of one text. */
export const TEXT_LENGTH_MAX = 64 * KiB;
/** Rows that words are hashed to: ids are int32 in a tensor. */
export const TEXT_ROWS_MAX = 2 ** 31;
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
/** Generated datasets (versions and sizes) whose files stay beside the cached records, the newest included. */
export const GENERATED_DATASETS_MAX = 3;
/** Batches that a loader assembles ahead of the one in use. */
export const PREFETCH_BATCHES = 1;

assert(CACHE_WAIT_NOTICE_MS % CACHE_POLL_MS === 0, 'the notice must fall on a poll');
assert(RECORD_MAX_BYTES <= CACHE_CHUNK_MAX_BYTES, 'a chunk must hold one record');
assert(4 * TEXT_LENGTH_MAX <= RECORD_MAX_BYTES, 'a text must fit into a record');
assert(IMAGE_FILE_MAX_BYTES <= IMAGES_IN_FLIGHT_MAX_BYTES, 'an image must be allowed in flight');
assert(BATCH_MAX_SAMPLES * LOCAL_STEPS_MAX < 2 ** 32, 'the samples of a round must fit into its header');

// Embedding tables (shared/rows, server/rows).
/** Tables of one run. */
export const TABLES_MAX = 64;
/** Rows of one table: ids are uint32. */
export const TABLE_ROWS_MAX = 2 ** 32;
/** Elements of one row. */
export const ROW_WIDTH_MAX = 4 * KiB;
/** Parts into which the rows of every table are dealt; each part has one server. */
export const ROW_PARTITIONS = 1024;
/** Ids and values of one message of rows, either way. */
export const ROWS_MESSAGE_MAX_BYTES = 512 * KiB;
/** Sums of gradients of the open step on one server; each worker may have its share of it. */
export const ROWS_STEP_MAX_BYTES = 32 * MiB;
/** Requests for rows that one stream may have unanswered. */
export const ROWS_REQUESTS_MAX = 16;
/** Bytes of values that a scan of saved tables reads and hands over at a time. */
export const SAVED_ROWS_READ_BYTES = MiB;

assert(ROW_PARTITIONS >= SERVERS_MAX, 'every server must get rows');
assert(4 * ROW_WIDTH_MAX + 4 <= ROWS_MESSAGE_MAX_BYTES, 'a row must fit into one message');
assert(ROWS_MESSAGE_MAX_BYTES <= MESSAGE_MAX_BYTES, 'a message of rows must fit into one message');
assert(
  4 * ROW_WIDTH_MAX + 64 <= ROWS_STEP_MAX_BYTES / WORKERS_MAX,
  'every worker of the largest run must be able to push a row',
);
assert(ROWS_MESSAGE_MAX_BYTES <= PUSH_CREDIT_BYTES, 'credit must let a message of rows travel');

// Snapshots (shared/snapshot, server/snapshot).
/** Arrays in one part: version, values, up to three slots and what is held of every block of a shard. */
export const SNAPSHOT_ARRAYS_MAX = 128 * KiB;
/** Largest manifest.json of a snapshot: the placement of BLOCKS_MAX blocks, and TENSORS_MAX tensors. */
export const SNAPSHOT_MANIFEST_MAX_BYTES = 16 * MiB;
/** Snapshots that are ordered and not whole, of one run: that of the cadence, and one that somebody asked for. */
export const SNAPSHOTS_OPEN_MAX = 2;
/** Steps by which a snapshot is ordered ahead: doubled each time that an order came too late, up to the second. */
export const SNAPSHOT_AHEAD_STEPS = 2;
export const SNAPSHOT_AHEAD_MAX_STEPS = 4096;
/** Most that may be asked for: steps or minutes from one snapshot to the next, and snapshots that are kept. */
export const SNAPSHOT_STEPS_MAX = 1_000_000_000;
export const SNAPSHOT_MINUTES_MAX = 525_600;
export const SNAPSHOTS_KEPT_MAX = 1000;
/** What is asked for where only a folder is given. */
export const SNAPSHOT_MINUTES_DEFAULT = 10;
export const SNAPSHOTS_KEPT_DEFAULT = 3;
/** How often the keeper looks whether a snapshot is due. */
export const SNAPSHOT_TICK_MS = 250;
/** Folders of one run, and runs in one folder, among which a snapshot is looked for. */
export const SNAPSHOT_FOLDERS_MAX = 4096;
/** In a bucket: a part of a multipart upload, all of one size but the last, and what is read at once. */
export const BUCKET_CHUNK_BYTES = 16 * MiB;
/** Chunks of one file that are on their way into a bucket, beside the one that is being filled. */
export const BUCKET_UPLOADS_MAX = 2;
/** Most parts of a multipart upload, which S3 sets; and the least bytes of each but the last. */
export const BUCKET_CHUNKS_MAX = 10_000;
export const BUCKET_CHUNK_MIN_BYTES = 5 * MiB;
/** Folders that are looked into, or files that are removed, at once. */
export const STORE_CALLS_MAX = 32;
/** Time for a connection to a store of buckets, and for a sign of life on one; a call is tried three times. */
export const BUCKET_CONNECT_MS = 5_000;
export const BUCKET_SILENCE_MS = 20_000;

assert(
  SNAPSHOT_MANIFEST_MAX_BYTES >= 8 * BLOCKS_MAX + TENSORS_MAX * ((6 * NAME_CHARACTERS_MAX) / 2 + 192),
  'a manifest must hold the largest placement and the tensors of the largest model',
);
assert(
  BUCKET_CHUNKS_MAX * BUCKET_CHUNK_BYTES >=
    SAFETENSORS_HEADER_MAX_BYTES + 2 * BLOCKS_MAX * BLOCK_PAYLOAD_MAX_BYTES,
  'a bucket must take the largest part: residuals and velocities of the largest model',
);
assert(BUCKET_CHUNK_BYTES >= BUCKET_CHUNK_MIN_BYTES, 'S3 must take what is uploaded at once');
assert(SNAPSHOTS_KEPT_MAX < SNAPSHOT_FOLDERS_MAX, 'all snapshots that are kept must be found');
assert(
  SNAPSHOT_ARRAYS_MAX >= 6 * (TENSORS_MAX + SHARD_MEMORY_MAX_BYTES / BLOCK_PAYLOAD_MAX_BYTES),
  'a part must hold six arrays of each block that fits into a shard',
);
assert(
  SAFETENSORS_HEADER_MAX_BYTES >= SNAPSHOT_ARRAYS_MAX * (64 + 128),
  'a header must hold the place and the checksum of every array of a part',
);

// The mesh in etcd (shared/client/etcd-keepers.ts, server/coordination).
/** Characters of a mesh's name. */
export const MESH_NAME_CHARACTERS_MAX = 64;
/** Servers of etcd that one node is told of. */
export const ETCD_HOSTS_MAX = 16;
/** Lease of the keeper's key: so long after its last sign of life another takes over. etcd has whole seconds. */
export const KEEPER_LEASE_SECONDS = 3;
/** How often the keeper gives a sign of life. */
export const KEEPER_RENEWAL_MS = 500;
/** Time for one call to etcd. */
export const ETCD_CALL_MS = 2_000;
/** After a call to etcd, or to the keeper, that has failed. */
export const ETCD_RETRY_MS = 100;
/** What etcd takes in one request, in its own default (1.5 MiB), less the envelope. */
export const STATE_MAX_BYTES = 1408 * KiB;

assert(KEEPER_LEASE_SECONDS >= 2, 'a lease must outlive a stall of etcd');
assert(
  KEEPER_RENEWAL_MS + ETCD_CALL_MS < 1000 * KEEPER_LEASE_SECONDS,
  'a call that is lost must not cost the lease',
);
