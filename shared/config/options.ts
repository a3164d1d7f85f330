// The table of all options of all binaries: the only place where an option is described.
// A binary picks its own from it (commands.ts); flag, environment variable, key in the config file, help, checks and
// the type of the compiled value all follow from the entry here. Sizes and times are compiled to bytes and
// milliseconds, and get the unit in their name.
import { z } from 'zod';
import { ROUNDINGS } from '../codec/codec-options.js';
import { TOPK_PERCENT_DEFAULT, TOPK_PERCENT_MAX } from '../codec/topk.js';
import {
  ACCUMULATE_MAX,
  BATCH_MAX_SAMPLES,
  EPOCHS_MAX,
  ETCD_HOSTS_MAX,
  EVERY_STEPS_MAX,
  LOCAL_STEPS_MAX,
  MESH_NAME_CHARACTERS_MAX,
  NAME_CHARACTERS_MAX,
  OPTION_CHARACTERS_MAX,
  PEER_DEADLINE_MAX_SECONDS,
  REFUSALS_LIMIT_DEFAULT,
  REFUSALS_MAX,
  REPLICAS_MAX,
  SCHEDULE_STEPS_MAX,
  SERVERS_MAX,
  SHARD_MEMORY_MAX_BYTES,
  SNAPSHOT_MINUTES_DEFAULT,
  SNAPSHOT_MINUTES_MAX,
  SNAPSHOT_STEPS_MAX,
  SNAPSHOTS_KEPT_DEFAULT,
  SNAPSHOTS_KEPT_MAX,
  STALENESS_MAX,
  WORKERS_MAX,
} from '../limits.js';
import { SCHEDULES } from '../optimizer/schedule.js';
import { OPTIMIZERS } from '../optimizer/spec.js';
import { storeFault } from '../snapshot/store.js';
import { type Address, parseAddress } from './address.js';
import type { Option, Plain } from './option.js';
import { isMeshName } from './place.js';

export const CODECS = ['fp32', 'fp16', 'bf16', 'int8', 'topk', 'sign'] as const;
export const CONSISTENCIES = ['bsp', 'ssp', 'asp', 'local'] as const;
/** In the order in which they are probed where none is named. */
export const BACKENDS = ['cuda', 'webgpu', 'tensorflow', 'wasm', 'cpu'] as const;
/** Name of the mesh in etcd where none is given. */
export const MESH_DEFAULT = 'default';
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const MiB = 1024 * 1024;
const MEMORY_MAX_MIB = Math.ceil(SHARD_MEMORY_MAX_BYTES / MiB);

interface Description {
  flag: string;
  help: string;
  placeholder?: string;
  /** How the help describes what happens where the option is not given. */
  fallback?: string;
}

type Spec<T> = Description & Pick<Option<T>, 'kind' | 'schema' | 'expected' | 'example'>;

const optional = <T>(spec: Spec<T>): Option<T, false> => ({ ...spec, default: undefined, required: false });
const defaulting = <T>(spec: Spec<T>, value: Plain): Option<T, true> => ({
  ...spec,
  default: value,
  required: false,
});

/** The same option, without which the binary does not start. */
export function required<T>(option: Option<T>): Option<T, true> {
  return { ...option, required: true, fallback: undefined, present: true };
}

function whole(description: Description, min: number, max: number, example: number): Spec<number> {
  return {
    placeholder: 'N',
    ...description,
    kind: 'number',
    schema: z.int().min(min).max(max),
    expected:
      max === Number.MAX_SAFE_INTEGER
        ? 'a whole number of at most 53 bits'
        : `a whole number from ${min} to ${max}`,
    example,
  };
}

function real(
  description: Description,
  schema: z.ZodType<number>,
  expected: string,
  example: number,
): Spec<number> {
  return { placeholder: 'X', ...description, kind: 'number', schema, expected, example };
}

function oneOf<const V extends string>(
  description: Description,
  values: readonly V[],
  example: NoInfer<V>,
): Spec<V> {
  return {
    placeholder: 'NAME',
    ...description,
    help: `${description.help}: ${values.join(', ')}`,
    kind: 'string',
    schema: z.enum(values) as unknown as z.ZodType<V>,
    expected: values.length === 1 ? values[0] : `one of ${values.join(', ')}`,
    example,
  };
}

function text(description: Description, expected: string, most: number, example: string): Spec<string> {
  const schema = z
    .string()
    .min(1)
    .max(most)
    .refine((value) => !value.includes('\0'));
  return { ...description, kind: 'string', schema, expected, example };
}

const path = (description: Description, expected: string, example: string): Spec<string> =>
  text(description, expected, OPTION_CHARACTERS_MAX, example);

/** A folder on a disk, or a prefix in a bucket. */
function folderOrBucket(description: Description): Spec<string> {
  const expected = 'a folder or s3://BUCKET/PREFIX';
  const spec = path(description, expected, 'snapshots/');
  return {
    ...spec,
    schema: spec.schema.refine((value) => storeFault(value) === undefined, {
      message:
        'after s3:// stands the name of a bucket, of 3 characters at least, and then names between single slashes',
    }),
  };
}

function address(description: Description, leastPort: 0 | 1, example: string): Spec<Address> {
  const schema = z.string().transform((value, context): Address => {
    try {
      const found = parseAddress(value);
      if (found.port >= leastPort) return found;
      context.addIssue('port 0 is for listening, not for connecting');
    } catch (error) {
      context.addIssue((error as Error).message);
    }
    return z.NEVER;
  });
  return { placeholder: 'HOST:PORT', ...description, kind: 'string', schema, expected: 'HOST:PORT', example };
}

function addresses(description: Description, most: number, example: string): Spec<Address[]> {
  const schema = z.string().transform((value, context): Address[] => {
    try {
      const found = value.split(',').map(parseAddress);
      if (found.length <= most && found.every(({ port }) => port > 0)) return found;
      context.addIssue(
        found.length > most ? `at most ${most}` : 'port 0 is for listening, not for connecting',
      );
    } catch (error) {
      context.addIssue((error as Error).message);
    }
    return z.NEVER;
  });
  return {
    ...{ placeholder: 'HOST:PORT,…', ...description, kind: 'string' as const, schema },
    ...{ expected: 'HOST:PORT, or several with commas between them', example },
  };
}

const onOff = (description: Description): Option<boolean, true> => ({
  ...description,
  kind: 'switch',
  schema: z.boolean(),
  expected: 'true or false',
  example: true,
  default: false,
  required: false,
});

export const OPTIONS = {
  listen: defaulting(
    address({ flag: 'listen', help: 'where to listen; port 0 picks a free one' }, 0, '0.0.0.0:50051'),
    '127.0.0.1:50051',
  ),
  advertise: optional(
    address(
      { flag: 'advertise', help: 'how others reach this server', fallback: 'where it listens' },
      1,
      '10.0.0.1:50051',
    ),
  ),
  join: optional(
    address(
      { flag: 'join', help: 'a server of the mesh to join', fallback: 'a new mesh' },
      1,
      '10.0.0.1:50051',
    ),
  ),
  etcd: optional(
    addresses(
      {
        flag: 'etcd',
        help: 'servers of etcd in which the mesh is found and kept',
        fallback: 'the mesh is kept by its first server',
      },
      ETCD_HOSTS_MAX,
      '10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379',
    ),
  ),
  mesh: optional({
    flag: 'mesh',
    placeholder: 'NAME',
    help: 'name of the mesh in etcd',
    fallback: MESH_DEFAULT,
    kind: 'string',
    schema: z.string().refine(isMeshName),
    expected: `letters, digits, dots, underscores and dashes, at most ${MESH_NAME_CHARACTERS_MAX}`,
    example: 'nightly',
  }),
  metrics: optional(
    address(
      {
        flag: 'metrics',
        help: 'where Prometheus finds /metrics and /healthz',
        fallback: 'a free port beside --listen, or on loopback',
      },
      0,
      '127.0.0.1:9464',
    ),
  ),
  memoryBytes: defaulting(
    {
      flag: 'memory',
      placeholder: 'MIB',
      help: 'memory for parameters and optimizer state, in MiB',
      kind: 'number',
      schema: z
        .int()
        .min(16)
        .max(MEMORY_MAX_MIB)
        .transform((mib) => Math.min(mib * MiB, SHARD_MEMORY_MAX_BYTES)),
      expected: `a whole number of MiB from 16 to ${MEMORY_MAX_MIB}`,
      example: 1024,
    },
    MEMORY_MAX_MIB,
  ),
  servers: defaulting(whole({ flag: 'servers', help: 'server processes to start' }, 1, SERVERS_MAX, 2), 2),
  workers: defaulting(whole({ flag: 'workers', help: 'workers that the run has' }, 1, WORKERS_MAX, 2), 2),
  peers: optional(
    whole(
      {
        flag: 'peers',
        help: 'processes that are server and worker both, instead of --servers and --workers',
        fallback: 'none',
      },
      1,
      SERVERS_MAX,
      4,
    ),
  ),
  evaluate: onOff({
    flag: 'evaluate',
    help: 'compute no gradients: pull the parameters now and then, and say how good they are on the test set',
  }),
  everySteps: defaulting(
    whole(
      { flag: 'every', help: 'with --evaluate: steps from one evaluation to the next, at least' },
      1,
      EVERY_STEPS_MAX,
      50,
    ),
    100,
  ),
  serve: onOff({ flag: 'serve', help: 'be a server of the mesh too, which holds its part of the model' }),
  job: defaulting(
    path(
      { flag: 'job', placeholder: 'NAME|FILE', help: 'what to train: a built-in job, or a module' },
      'the name of a job or the file of a module',
      'cifar10',
    ),
    'cifar10',
  ),
  data: optional(
    path(
      { flag: 'data', placeholder: 'PATH', help: 'what the job reads', fallback: 'generated' },
      'a path',
      'data/',
    ),
  ),
  run: optional(
    text(
      {
        flag: 'run',
        placeholder: 'NAME',
        help: 'name of the run, the same for all its workers',
        fallback: 'the job',
      },
      `a name of 1 to ${NAME_CHARACTERS_MAX} characters`,
      NAME_CHARACTERS_MAX,
      'cifar10-a',
    ),
  ),
  epochs: optional(
    whole({ flag: 'epochs', help: 'passes over the training set', fallback: "the job's" }, 1, EPOCHS_MAX, 5),
  ),
  batch: defaulting(
    whole({ flag: 'batch', help: 'samples of one step, over all workers' }, 1, BATCH_MAX_SAMPLES, 64),
    64,
  ),
  learningRate: optional({
    flag: 'learning-rate',
    placeholder: 'X',
    help: 'step size of the optimizer',
    fallback: "the job's",
    kind: 'number',
    schema: z.number().positive(),
    expected: 'a number above 0',
    example: 0.001,
  }),
  optimizer: optional(
    oneOf(
      { flag: 'optimizer', help: 'what the servers run, with local each worker', fallback: "the job's" },
      OPTIMIZERS,
      'adam',
    ),
  ),
  weightDecay: optional(
    real(
      {
        flag: 'weight-decay',
        help: 'of adamw, lion and lamb: share of a weight that a step takes away, times the learning rate',
        fallback: "the job's, else 0.01",
      },
      z.number().min(0),
      'a number of 0 or more',
      0.01,
    ),
  ),
  l1: optional(
    real(
      { flag: 'l1', help: 'adds X times the sum of |w| to the loss', fallback: "the job's, else 0" },
      z.number().min(0),
      'a number of 0 or more',
      1e-5,
    ),
  ),
  l2: optional(
    real(
      { flag: 'l2', help: 'adds X times the sum of w² to the loss', fallback: "the job's, else 0" },
      z.number().min(0),
      'a number of 0 or more',
      1e-4,
    ),
  ),
  clipValue: optional(
    real(
      {
        flag: 'clip-value',
        help: 'cuts each element of the mean gradient to ± X',
        fallback: "the job's, else no cut",
      },
      z.number().positive(),
      'a number above 0',
      1,
    ),
  ),
  clipNorm: optional(
    real(
      {
        flag: 'clip-norm',
        help: 'scales the mean gradient of the whole model down to this norm; blocks then wait for one another',
        fallback: "the job's, else no limit",
      },
      z.number().positive(),
      'a number above 0',
      1,
    ),
  ),
  gradientLimit: optional(
    real(
      {
        flag: 'gradient-limit',
        help: 'refuses a contribution with an element above X, and ends the run with the name of its worker',
        fallback: 'none',
      },
      z.number().positive(),
      'a number above 0',
      1000,
    ),
  ),
  server: optional(
    whole(
      { flag: 'server', help: 'number of a server, as gradloom status has it', fallback: 'it is asked for' },
      0,
      2 ** 31,
      1,
    ),
  ),
  replicas: optional(
    whole(
      {
        flag: 'replicas',
        help: 'servers that hold each part of the model, so that one of them can die',
        fallback: '2 where there are 2 and the run allows it',
      },
      1,
      REPLICAS_MAX,
      1,
    ),
  ),
  elastic: onOff({
    flag: 'elastic',
    help: 'go on without a worker that leaves or dies; servers keep a second copy of parameters and optimizer state',
  }),
  refusalsLimit: optional(
    whole(
      {
        flag: 'refusals-limit',
        help: 'with --elastic: steps in a row with gradients not finite, or above --gradient-limit, after which a worker is put out',
        fallback: String(REFUSALS_LIMIT_DEFAULT),
      },
      1,
      REFUSALS_MAX,
      10,
    ),
  ),
  accumulate: defaulting(
    whole(
      {
        flag: 'accumulate',
        placeholder: 'K',
        help: "micro-batches in which a worker computes its part of a step's batch, to save memory",
      },
      1,
      ACCUMULATE_MAX,
      4,
    ),
    1,
  ),
  schedule: optional(
    oneOf(
      {
        flag: 'schedule',
        help: 'how the learning rate goes on after the warm-up',
        fallback: "the job's, else constant",
      },
      SCHEDULES,
      'cosine',
    ),
  ),
  warmupSteps: optional(
    whole(
      { flag: 'warmup-steps', help: 'steps in which the learning rate rises to its own', fallback: '0' },
      0,
      SCHEDULE_STEPS_MAX,
      500,
    ),
  ),
  decaySteps: optional(
    whole(
      {
        flag: 'decay-steps',
        help: 'steps from one fall to the next (step), or to the end (cosine, polynomial)',
        fallback: 'to the end of the run; step needs it',
      },
      1,
      SCHEDULE_STEPS_MAX,
      1000,
    ),
  ),
  decayRate: optional(
    real(
      { flag: 'decay-rate', help: 'factor of each fall of the schedule step', fallback: '0.1' },
      z.number().gt(0).lt(1),
      'a number between 0 and 1',
      0.5,
    ),
  ),
  decayEnd: optional(
    real(
      {
        flag: 'decay-end',
        help: 'share of the learning rate at which cosine and polynomial end',
        fallback: '0',
      },
      z.number().min(0).lt(1),
      'a number of 0 or more, below 1',
      0.1,
    ),
  ),
  decayPower: optional(
    real(
      { flag: 'decay-power', help: 'exponent of the schedule polynomial', fallback: '1, a line' },
      z.number().positive(),
      'a number above 0',
      2,
    ),
  ),
  codec: defaulting(oneOf({ flag: 'codec', help: 'how numbers travel, both ways' }, CODECS, 'fp16'), 'fp16'),
  topKPercent: optional({
    flag: 'top-k',
    placeholder: 'PERCENT',
    help: "codec topk: elements of a block that travel, in percent of the block's",
    fallback: String(TOPK_PERCENT_DEFAULT),
    kind: 'number',
    schema: z.number().positive().max(TOPK_PERCENT_MAX),
    expected: `a percentage above 0 and at most ${TOPK_PERCENT_MAX}`,
    example: 1,
  }),
  topKWarmupSteps: optional(
    whole(
      {
        flag: 'top-k-warmup-steps',
        help: `codec topk: steps in which the percentage falls from ${TOPK_PERCENT_MAX} to its own`,
        fallback: '0',
      },
      0,
      SCHEDULE_STEPS_MAX,
      500,
    ),
  ),
  rounding: optional(
    oneOf(
      { flag: 'rounding', help: 'codec int8: how contributions are rounded', fallback: 'nearest' },
      ROUNDINGS,
      'stochastic',
    ),
  ),
  consistency: defaulting(
    oneOf(
      { flag: 'consistency', help: 'which workers a step waits for, or local steps' },
      CONSISTENCIES,
      'bsp',
    ),
    'bsp',
  ),
  staleness: optional(
    whole(
      {
        flag: 'staleness',
        help: 'steps that a worker may be ahead of the slowest, with --consistency ssp',
        fallback: 'none',
      },
      0,
      STALENESS_MAX,
      3,
    ),
  ),
  backupWorkers: defaulting(
    whole(
      {
        flag: 'backup-workers',
        help: 'with bsp: workers that a step goes on without, the last ones; what they have for it is dropped',
      },
      0,
      WORKERS_MAX - 1,
      1,
    ),
    0,
  ),
  localSteps: optional(
    whole(
      {
        flag: 'local-steps',
        help: 'with local: steps of a worker between two exchanges',
        fallback: 'none',
      },
      1,
      LOCAL_STEPS_MAX,
      20,
    ),
  ),
  outerLearningRate: optional({
    flag: 'outer-learning-rate',
    placeholder: 'X',
    help: 'with local: step size of what the servers run on the differences',
    fallback: '0.7',
    kind: 'number',
    schema: z.number().positive(),
    expected: 'a number above 0',
    example: 0.7,
  }),
  outerMomentum: optional({
    flag: 'outer-momentum',
    placeholder: 'X',
    help: 'with local: Nesterov momentum of the same',
    fallback: '0.9',
    kind: 'number',
    schema: z.number().min(0).lt(1),
    expected: 'a number from 0 to below 1',
    example: 0.9,
  }),
  backend: optional(
    oneOf({ flag: 'backend', help: 'what computes', fallback: 'the first that works' }, BACKENDS, 'wasm'),
  ),
  seed: defaulting(
    whole(
      { flag: 'seed', help: 'of everything random in the run' },
      Number.MIN_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER,
      7,
    ),
    1,
  ),
  cache: optional(
    path(
      {
        flag: 'cache',
        placeholder: 'DIR',
        help: 'where prepared records are kept',
        fallback: "the system's cache folder",
      },
      'a folder',
      '/var/cache/gradloom',
    ),
  ),
  out: defaulting(
    path({ flag: 'out', placeholder: 'DIR', help: 'where results are saved' }, 'a folder', 'runs/'),
    'runs/',
  ),
  summary: optional(
    path(
      {
        flag: 'summary',
        placeholder: 'FILE',
        help: 'write the summary there too, as JSON',
        fallback: 'nowhere else',
      },
      'a file',
      'summary.json',
    ),
  ),
  snapshots: optional(
    folderOrBucket({
      flag: 'snapshots',
      placeholder: 'DIR',
      help: 'folder or s3://BUCKET/PREFIX for snapshots of running runs, which all servers and workers reach',
      fallback: 'no snapshots',
    }),
  ),
  snapshotSteps: optional(
    whole(
      { flag: 'snapshot-steps', help: 'steps from one snapshot to the next', fallback: 'by time' },
      1,
      SNAPSHOT_STEPS_MAX,
      1000,
    ),
  ),
  snapshotMinutes: optional(
    real(
      {
        flag: 'snapshot-minutes',
        help: 'minutes from one snapshot to the next',
        fallback: `${SNAPSHOT_MINUTES_DEFAULT}, unless --snapshot-steps is given`,
      },
      z.number().positive().max(SNAPSHOT_MINUTES_MAX),
      `a number above 0 and at most ${SNAPSHOT_MINUTES_MAX}`,
      5,
    ),
  ),
  snapshotKeep: optional(
    whole(
      {
        flag: 'snapshot-keep',
        placeholder: 'K',
        help: 'snapshots of a run that are kept',
        fallback: String(SNAPSHOTS_KEPT_DEFAULT),
      },
      1,
      SNAPSHOTS_KEPT_MAX,
      5,
    ),
  ),
  resume: optional(
    folderOrBucket({
      flag: 'resume',
      placeholder: 'PATH',
      help: 'goes on from a snapshot: its folder, or the newest whole one in the folder of a run or of all runs; also in s3://',
      fallback: 'a new run',
    }),
  ),
  peerDeadlineMs: defaulting(
    {
      flag: 'peer-deadline',
      placeholder: 'SECONDS',
      help: 'how long a silent peer is waited for',
      kind: 'number',
      schema: z
        .number()
        .min(1)
        .max(PEER_DEADLINE_MAX_SECONDS)
        .transform((seconds) => Math.round(seconds * 1000)),
      expected: `seconds from 1 to ${PEER_DEADLINE_MAX_SECONDS}`,
      example: 20,
    },
    20,
  ),
  insecure: onOff({ flag: 'insecure', help: 'talk to other machines without encryption' }),
  json: onOff({ flag: 'json', help: 'events as JSON lines on stdout' }),
  logLevel: defaulting(
    oneOf(
      { flag: 'log-level', placeholder: 'LEVEL', help: 'least level of what is logged' },
      LOG_LEVELS,
      'info',
    ),
    'info',
  ),
  config: optional(
    path(
      {
        flag: 'config',
        placeholder: 'FILE',
        help: 'JSON file whose keys are the names of options',
        fallback: 'none',
      },
      'a file',
      'gradloom.json',
    ),
  ),
};

export type OptionTable = typeof OPTIONS;
