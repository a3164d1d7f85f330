// Everything about a run that its nodes must agree on: the type the cores work with, its wire form, and the
// comparison that tells two workers where their options differ.
import { type Block, layoutBlocks } from './blocks/blocks.js';
import {
  manifestDifference,
  manifestFault,
  schemaHash,
  type TensorKind,
  type TensorSpec,
} from './blocks/manifest.js';
import { backupCodecFault, codecFault } from './codec/allowed-pairs.js';
import { CODEC_IDS, type Codec, type CodecName } from './codec/codec.js';
import { type CodecOptions, codecOptionsFault, codecOptionsOfRun } from './codec/codec-options.js';
import { codecs } from './codec/registry.js';
import { TOPK_PERCENT_DEFAULT, TOPK_PERCENT_MAX, topk } from './codec/topk.js';
import { type TopKOptions, topkPercentAt } from './codec/topk-warm-up.js';
import {
  BATCH_MAX_SAMPLES,
  EPOCHS_MAX,
  LOCAL_STEPS_MAX,
  LOSSY_BLOCK_ELEMENTS_MIN,
  NAME_CHARACTERS_MAX,
  REPLICAS_DEFAULT,
  SNAPSHOT_MINUTES_MAX,
  SNAPSHOT_STEPS_MAX,
  SNAPSHOTS_KEPT_MAX,
  STALENESS_MAX,
  WORKERS_MAX,
} from './limits.js';
import { normRounds } from './optimizer/norms.js';
import { type OptimizerSpec, optimizerSpec } from './optimizer/spec.js';
import { describeOptimizer, optimizerFromWire, optimizerToWire } from './optimizer/wire.js';
import {
  describeTables,
  type RowTableSpec,
  tablesFault,
  tablesFromWire,
  tableToWire,
} from './rows/tables.js';
import type { RunSpec__Output, RunSpec as WireSpec } from './rpc/generated/gradloom/v1/RunSpec.js';
import { type Refused, refuse } from './rpc/refusal.js';

export { type OptimizerSpec, optimizerSpec };

/** Names of the consistencies, with the numbers they have on the wire (`Consistency` in the proto). */
export const CONSISTENCY_IDS = { bsp: 1, ssp: 2, asp: 3, local: 4 } as const;
export type ConsistencyName = keyof typeof CONSISTENCY_IDS;

export interface RunSpec {
  readonly job: string;
  readonly tensors: readonly TensorSpec[];
  /** What the servers run: under `local` on the differences that workers push. */
  readonly optimizer: OptimizerSpec;
  readonly consistency: ConsistencyName;
  /** ssp: steps that a read may lack of any worker's updates. Only there. */
  readonly staleness?: number;
  /** bsp: workers that a step goes on without, the last ones; by default none. */
  readonly backupWorkers?: number;
  readonly codec: CodecName;
  /** Codec topk alone: percentage of a block's elements that travel; TOPK_PERCENT_DEFAULT where it is not given. */
  readonly topKPercent?: number;
  /** Codec topk alone: steps in which the percentage falls to its own; none where it is not given. */
  readonly topKWarmupSteps?: number;
  /** Codec int8 alone: contributions are rounded by chance; else, and with it left out, to nearest. */
  readonly stochasticRounding?: boolean;
  /** Largest magnitude of an element of a contribution that servers take; without it they take any. */
  readonly gradientLimit?: number;
  /** A worker that leaves does not end the run: servers keep what takes them back to before the step under way. */
  readonly elastic?: boolean;
  /** With elastic: steps in a row that a worker may spoil before it is put out; without it any number. */
  readonly refusalsLimit?: number;
  /** Servers that hold each shard; left out: two, where there are as many and the run can be replicated. */
  readonly replicas?: number;
  /** Workers that the run waits for. */
  readonly workers: number;
  /** Samples of one step, over all workers. */
  readonly globalBatch: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly seed: number;
  readonly dataFingerprint: string;
  /** There under `local`, and only there. */
  readonly local?: LocalSpec;
  /** Embedding tables, pushed and pulled by row; none: not there. */
  readonly tables?: readonly RowTableSpec[];
  /** When snapshots are taken; none: never. */
  readonly snapshots?: SnapshotsSpec;
  /** The snapshot that the run goes on from; none: it begins with the values of worker 0. */
  readonly resume?: ResumeSpec;
}

/** Steps that each worker takes by itself between two exchanges. */
export interface LocalSpec {
  /** Steps of a round; one ends at the end of an epoch, too. */
  readonly steps: number;
  /** What each worker runs on its own parameters. */
  readonly optimizer: OptimizerSpec;
}

/** With neither steps nor seconds, when the keeper is asked for one. */
export interface SnapshotsSpec {
  /** At every multiple of so many steps; 0: not. */
  readonly everySteps: number;
  /** So long after the last one; 0: not. */
  readonly everySeconds: number;
  /** How many are kept. */
  readonly keep: number;
}

/** Names a snapshot wherever it lies. */
export interface ResumeSpec {
  /** Steps that were decided: the first step of the run that goes on. */
  readonly step: number;
  /** Hexadecimal, of its manifest. */
  readonly sha256: string;
}

const KINDS: readonly TensorKind[] = ['trainable', 'state', 'frozen'];

export const OUTER_DEFAULTS = { learningRate: 0.7, momentum: 0.9 } as const;

/**
 * What the servers run under `local`: SGD with Nesterov momentum on the mean difference. Defaults of DiLoCo
 * (Douillard et al., "DiLoCo: distributed low-communication training of language models", 2023, section 2); 1 and 0
 * are plain averaging of parameters (Stich, "Local SGD converges fast and communicates little", ICLR 2019).
 */
export function outerOptimizer(
  learningRate: number = OUTER_DEFAULTS.learningRate,
  momentum: number = OUTER_DEFAULTS.momentum,
): OptimizerSpec {
  return momentum === 0
    ? { kind: 'sgd', learningRate }
    : { kind: 'momentum', learningRate, momentum, nesterov: true };
}

/**
 * Momentum that workers apply before top-k selects, in place of the server, where it would smear each of the rare
 * elements over many steps (see MomentumCorrection); undefined where the server does it.
 */
export function workerMomentum({
  codec,
  optimizer,
}: Pick<RunSpec, 'codec' | 'optimizer'>): number | undefined {
  return codec === 'topk' && optimizer.kind === 'momentum' ? optimizer.momentum : undefined;
}

/** The optimizer that the server runs on a block: plain sgd where workers apply the momentum. */
export function blockOptimizer(
  optimizer: OptimizerSpec,
  codec: CodecName,
  block: Pick<Block, 'kind' | 'elements'>,
): OptimizerSpec {
  const atWorkers = workerMomentum({ codec, optimizer }) !== undefined && blockCodec(codec, block) === codec;
  if (!atWorkers || optimizer.kind !== 'momentum') return optimizer;
  const { momentum: _momentum, nesterov: _nesterov, ...rules } = optimizer;
  return { ...rules, kind: 'sgd' };
}

/**
 * How a block travels: by the run's codec, but exactly where it is non-trainable state, or too small for a lossy
 * codec to be worth its loss.
 */
export function blockCodec(codec: CodecName, block: Pick<Block, 'kind' | 'elements'>): CodecName {
  if (block.kind !== 'trainable') return 'fp32';
  return codecs[codec].lossy && block.elements < LOSSY_BLOCK_ELEMENTS_MIN ? 'fp32' : codec;
}

/**
 * The codec of each block, in the order given, for one way, by the step of the run. Top-k sends as much down as all workers together have sent
 * up: then what they sent comes back whole in the next step, instead of a second wait on the way down.
 */
export function codecsByStep(
  spec: Pick<RunSpec, 'codec' | 'workers'> & TopKOptions,
  blocks: readonly Pick<Block, 'kind' | 'elements'>[],
  way: 'up' | 'down',
): (step: number) => readonly Codec[] {
  const withOwn = (own: Codec) =>
    blocks.map((block) => {
      const name = blockCodec(spec.codec, block);
      return name === spec.codec ? own : codecs[name];
    });
  if (spec.codec !== 'topk') {
    const constant = withOwn(codecs[spec.codec]);
    return () => constant;
  }
  // The percentage only falls, stage by stage: the one of the last call is kept.
  let percent = Number.NaN;
  let current: readonly Codec[] = [];
  return (step) => {
    const wanted = Math.min(
      topkPercentAt(spec, step) * (way === 'down' ? spec.workers : 1),
      TOPK_PERCENT_MAX,
    );
    if (wanted !== percent) {
      percent = wanted;
      current = withOwn(topk(percent));
    }
    return current;
  };
}

/** The same at one step, by default when the warm-up of top-k is over. */
export function codecsOf(
  spec: Pick<RunSpec, 'codec' | 'workers'> & TopKOptions,
  blocks: readonly Pick<Block, 'kind' | 'elements'>[],
  way: 'up' | 'down' = 'up',
  step = Number.POSITIVE_INFINITY,
): readonly Codec[] {
  return codecsByStep(spec, blocks, way)(step);
}

/** How workers wait for each other: what a change of view may change. */
export type Rules = Pick<RunSpec, 'consistency' | 'staleness'>;

/** The name of a consistency on the wire. */
export function consistencyOf(id: number | undefined): ConsistencyName | undefined {
  return (Object.keys(CONSISTENCY_IDS) as ConsistencyName[]).find((name) => CONSISTENCY_IDS[name] === id);
}

/** What a view carries of the rules. */
export function rulesToWire({ consistency, staleness = 0 }: Rules): {
  consistency: 1 | 2 | 3 | 4;
  staleness: number;
} {
  return { consistency: CONSISTENCY_IDS[consistency], staleness };
}

/** The spec of a run as it stands under a view; one without a consistency leaves it as it is. */
export function specUnder(spec: RunSpec, view: { consistency?: number; staleness?: number }): RunSpec {
  const consistency = consistencyOf(view.consistency);
  if (!consistency) return spec;
  const { staleness: _, ...rest } = spec;
  return { ...rest, consistency, ...(consistency === 'ssp' ? { staleness: view.staleness ?? 0 } : {}) };
}

/**
 * The spec of a running run with other rules. Throws Refused where it cannot have them: `local` keeps its optimizer's
 * state on the workers, the others on the servers, and the rest is as at the start of a run.
 */
export function specWithRules(spec: RunSpec, rules: { consistency?: number; staleness?: number }): RunSpec {
  const name = consistencyOf(rules.consistency);
  if (name !== spec.consistency && (name === 'local' || spec.consistency === 'local'))
    throw refuse(
      'RUN_SPEC',
      `expected a running run to stay ${spec.consistency === 'local' ? 'local' : 'out of local'}, got ${spec.consistency} to ${name}: the state of the optimizer would have to move between servers and workers; start another run`,
    );
  if (spec.elastic)
    throw refuse('RUN_SPEC', 'expected a run without --elastic, which keeps bsp as it is; start another run');
  if (spec.backupWorkers)
    throw refuse(
      'RUN_SPEC',
      `expected a run without backup workers, got ${spec.backupWorkers}: no step is common to all workers from which other rules could hold; start another run`,
    );
  if (name === 'local')
    throw refuse(
      'RUN_SPEC',
      'expected bsp, ssp or asp, got local to local: the length of its rounds is fixed when it starts',
    );
  const { staleness } = rules;
  const next = name && specUnder(spec, rules);
  const fault = next
    ? (consistencyFault(name, name === 'ssp' ? staleness : staleness || undefined) ??
      normsFault(name, spec.optimizer) ??
      tablesFault(spec.tables ?? [], name))
    : `expected a consistency of ${Object.keys(CONSISTENCY_IDS).join(', ')}, got number ${rules.consistency}`;
  if (!next || fault) throw refuse('RUN_SPEC', fault ?? '');
  const pair = codecFault(spec.codec, spec.optimizer, name);
  if (pair) throw refuse('CODEC_PAIR', pair);
  return next;
}

/** Whether each worker has a clock of its own, instead of all doing every step together. */
export function isClocked({ consistency }: Pick<RunSpec, 'consistency'>): boolean {
  return consistency === 'ssp' || consistency === 'asp';
}

/** Steps that a worker may be ahead of the slowest; Infinity under asp. */
export function stalenessOf({
  consistency,
  staleness = 0,
}: Pick<RunSpec, 'consistency' | 'staleness'>): number {
  return consistency === 'asp' ? Number.POSITIVE_INFINITY : staleness;
}

/** What is wrong with a consistency and its bound, with the name of the field; undefined: nothing. */
export function consistencyFault(consistency: string, staleness: number | undefined): string | undefined {
  if (!Object.hasOwn(CONSISTENCY_IDS, consistency))
    return `consistency: expected one of ${Object.keys(CONSISTENCY_IDS).join(', ')}, got "${consistency}"`;
  if (consistency !== 'ssp')
    return staleness === undefined
      ? undefined
      : `staleness: expected only with ssp, got it with ${consistency}`;
  if (staleness !== undefined && Number.isInteger(staleness) && staleness >= 0 && staleness <= STALENESS_MAX)
    return undefined;
  return `staleness: expected a whole number from 0 to ${STALENESS_MAX} with ssp, got ${staleness ?? 'none'}`;
}

/** What is wrong with a number of backup workers beside the rest of a run; undefined: nothing. */
export function backupWorkersFault(
  backupWorkers: number | undefined,
  { workers, consistency, codec }: Pick<RunSpec, 'workers' | 'consistency' | 'codec'>,
): string | undefined {
  if (backupWorkers === undefined || backupWorkers === 0) return undefined;
  if (!Number.isInteger(backupWorkers) || backupWorkers < 0 || backupWorkers >= workers)
    return `expected fewer backup workers than the ${workers} workers, got ${backupWorkers}; a step takes the contributions of the others`;
  if (consistency !== 'bsp')
    return `expected consistency bsp with backup workers, got ${consistency}; take it, or leave them out`;
  return backupCodecFault(codec);
}

/** Why the shards of a run like this can have no copies; undefined: they can. */
export function replicationFault(
  spec: Pick<RunSpec, 'consistency' | 'optimizer' | 'backupWorkers' | 'tables'>,
  peers = false,
): string | undefined {
  const instead = isClocked(spec)
    ? `consistency ${spec.consistency}, where each contribution is an update of its own`
    : normRounds(spec.optimizer).length > 0
      ? 'clipping by global norm or lamb, whose steps wait for several servers'
      : spec.backupWorkers
        ? 'backup workers'
        : spec.tables && spec.tables.length > 0
          ? 'embedding tables'
          : peers
            ? 'peers, each of which is a worker that goes with its server'
            : undefined;
  return (
    instead && `replicas: expected bsp or local, and each block updated by itself, got ${instead}; take 1`
  );
}

/**
 * Servers that hold each shard of a run.
 * @param peers whether some of them are workers, too
 */
export function replicasOf(spec: RunSpec, servers: number, peers: boolean): number {
  if (replicationFault(spec, peers)) return 1;
  return Math.min(servers, spec.replicas ?? REPLICAS_DEFAULT);
}

/** What is wrong with a limit of gradients; undefined: nothing, as of one that is not there. */
export function gradientLimitFault(limit: number | undefined): string | undefined {
  return limit === undefined || (limit > 0 && Number.isFinite(limit))
    ? undefined
    : `expected a gradient limit above 0, got ${limit}`;
}

/** Why a run of this kind cannot go on without one of its workers; undefined: it can. */
export function elasticFault(
  consistency: string,
  codec: CodecName,
  optimizer: OptimizerSpec,
  tables = 0,
  backupWorkers = 0,
  snapshots = false,
): string | undefined {
  const instead =
    consistency !== 'bsp'
      ? `consistency ${consistency}`
      : codecs[codec].lossy
        ? `codec ${codec}`
        : normRounds(optimizer).length > 0
          ? 'clipping by global norm or lamb'
          : tables > 0
            ? 'embedding tables'
            : backupWorkers > 0
              ? 'backup workers'
              : snapshots
                ? 'snapshots'
                : undefined;
  return (
    instead &&
    `elastic: expected bsp with codec fp32, fp16 or bf16 and an optimizer that takes each block by itself, got ${instead}, whose step cannot be taken back; leave --elastic out`
  );
}

/** What is wrong with an optimizer under a consistency: what waits for norms needs a step that all blocks share. */
export function normsFault(consistency: string, optimizer: OptimizerSpec): string | undefined {
  if ((consistency !== 'ssp' && consistency !== 'asp') || normRounds(optimizer).length === 0)
    return undefined;
  const what = optimizer.clipNorm === undefined ? 'the optimizer lamb' : 'clipping by global norm';
  return `expected consistency bsp or local with ${what}, got ${consistency}; norms of the whole gradient need a step that all blocks share`;
}

/**
 * What is wrong with snapshots of a run, or with one that goes on from a snapshot; undefined: nothing. What a snapshot
 * holds is cut between two steps that all workers share, so a worker with a clock or an optimizer of its own has none,
 * nor one whose contribution may come after its step.
 */
export function snapshotsFault({
  consistency,
  backupWorkers,
  tables,
}: Pick<RunSpec, 'consistency' | 'backupWorkers' | 'tables'>): string | undefined {
  const expected = 'with snapshots, which are cut between two steps that all workers share';
  if (consistency !== 'bsp')
    return `expected consistency bsp ${expected}, got ${consistency}; leave them out, or give bsp`;
  if (backupWorkers) return `expected no backup workers ${expected}, got ${backupWorkers}; leave one out`;
  return tables ? 'expected no tables with snapshots, which do not hold rows yet, got some' : undefined;
}

export function toWire(spec: RunSpec): WireSpec {
  return {
    job: spec.job,
    manifest: {
      tensors: spec.tensors.map(({ name, shape, kind }) => ({
        name,
        shape: [...shape],
        kind: (KINDS.indexOf(kind) + 1) as 1 | 2 | 3,
      })),
      schemaHash: schemaHash(spec.tensors),
    },
    optimizer: optimizerToWire(spec.optimizer),
    consistency: CONSISTENCY_IDS[spec.consistency],
    codec: CODEC_IDS[spec.codec],
    workers: spec.workers,
    globalBatch: spec.globalBatch,
    epochs: spec.epochs,
    stepsPerEpoch: spec.stepsPerEpoch,
    seed: spec.seed,
    dataFingerprint: spec.dataFingerprint,
    staleness: spec.staleness ?? 0,
    backupWorkers: spec.backupWorkers ?? 0,
    ...(spec.local && {
      localSteps: spec.local.steps,
      innerOptimizer: optimizerToWire(spec.local.optimizer),
    }),
    ...(spec.codec === 'topk' ? { topKPercent: spec.topKPercent ?? TOPK_PERCENT_DEFAULT } : {}),
    topKWarmupSteps: spec.topKWarmupSteps ?? 0,
    ...(spec.stochasticRounding ? { stochasticRounding: true } : {}),
    ...(spec.tables && { tables: spec.tables.map(tableToWire) }),
    gradientLimit: spec.gradientLimit ?? 0,
    elastic: spec.elastic ?? false,
    replicas: spec.replicas ?? 0,
    refusalsLimit: spec.refusalsLimit ?? 0,
    ...(spec.snapshots && { snapshots: { ...spec.snapshots } }),
    ...(spec.resume && {
      resume: { step: spec.resume.step, manifestSha256: Buffer.from(spec.resume.sha256, 'hex') },
    }),
  };
}

/** Throws Refused where snapshots are asked for that cannot be taken. */
function snapshotsFromWire({ snapshots, resume }: RunSpec__Output): Pick<RunSpec, 'snapshots' | 'resume'> {
  if (snapshots) {
    const { everySteps, everySeconds, keep } = snapshots;
    if (
      everySteps > SNAPSHOT_STEPS_MAX ||
      !(everySeconds >= 0 && everySeconds <= 60 * SNAPSHOT_MINUTES_MAX) ||
      keep < 1 ||
      keep > SNAPSHOTS_KEPT_MAX
    )
      throw refuse(
        'RUN_SPEC',
        `expected snapshots every 0 to ${SNAPSHOT_STEPS_MAX} steps or 0 to ${60 * SNAPSHOT_MINUTES_MAX} seconds, 1 to ${SNAPSHOTS_KEPT_MAX} of them kept, got ${everySteps}, ${everySeconds} and ${keep}`,
      );
  }
  if (resume && (resume.step < 1 || resume.manifestSha256.length !== 32))
    throw refuse(
      'RUN_SPEC',
      `expected to resume from a step of 1 or more with a SHA-256 of 32 bytes, got step ${resume.step} and ${resume.manifestSha256.length} bytes`,
    );
  return {
    ...(snapshots && { snapshots }),
    ...(resume && { resume: { step: resume.step, sha256: resume.manifestSha256.toString('hex') } }),
  };
}

/** Throws Refused where local steps stand beside another consistency, or lack beside `local`. */
function localFromWire(
  consistency: ConsistencyName,
  { localSteps, innerOptimizer }: RunSpec__Output,
  tensors: readonly TensorSpec[],
): LocalSpec | undefined {
  if (consistency !== 'local') {
    if (localSteps !== 0 || innerOptimizer)
      throw refuse(
        'RUN_SPEC',
        `expected local steps and an inner optimizer with consistency local alone, got them with ${consistency}`,
      );
    return undefined;
  }
  if (localSteps < 1 || localSteps > LOCAL_STEPS_MAX || !innerOptimizer)
    throw refuse(
      'RUN_SPEC',
      `expected 1 to ${LOCAL_STEPS_MAX} local steps and an inner optimizer with consistency local, got ${localSteps} and ${innerOptimizer ? 'one' : 'none'}`,
    );
  return { steps: localSteps, optimizer: optimizerFromWire(innerOptimizer, tensors) };
}

/** Reads and checks a spec from the network. Throws Refused. */
export function fromWire(wire: RunSpec__Output | null): RunSpec {
  if (!wire?.manifest || !wire.optimizer)
    throw refuse('MALFORMED', 'expected a run spec with manifest and optimizer, got one without');
  const tensors = wire.manifest.tensors.map(({ name, shape, kind }) => ({
    name,
    shape,
    kind: KINDS[kind - 1],
  }));
  if (tensors.some((tensor) => !tensor.kind))
    throw refuse('MALFORMED', 'expected a kind for every tensor, got none');
  if (wire.job.length > NAME_CHARACTERS_MAX || wire.dataFingerprint.length > NAME_CHARACTERS_MAX)
    throw refuse(
      'MALFORMED',
      `expected a job and a data fingerprint of at most ${NAME_CHARACTERS_MAX} characters, got ${wire.job.length} and ${wire.dataFingerprint.length}`,
    );
  const fault = manifestFault(tensors);
  if (fault) throw refuse('SCHEMA', fault);
  if (!schemaHash(tensors).equals(wire.manifest.schemaHash))
    throw refuse(
      'SCHEMA',
      "expected the schema hash of the manifest's own tensors, got another; rebuild the client",
    );
  const optimizer = optimizerFromWire(wire.optimizer, tensors);
  const codec = (Object.keys(CODEC_IDS) as CodecName[]).find((name) => CODEC_IDS[name] === wire.codec);
  if (!codec)
    throw refuse(
      'RUN_SPEC',
      `expected a codec of ${Object.keys(CODEC_IDS).join(', ')}, got number ${wire.codec}`,
    );
  const consistency = consistencyOf(wire.consistency);
  if (!consistency)
    throw refuse(
      'RUN_SPEC',
      `expected a consistency of ${Object.keys(CONSISTENCY_IDS).join(', ')}, got number ${wire.consistency}`,
    );
  const bound = consistencyFault(
    consistency,
    consistency === 'ssp' ? wire.staleness : wire.staleness || undefined,
  );
  if (bound) throw refuse('RUN_SPEC', bound);
  const unfit = normsFault(consistency, optimizer);
  if (unfit) throw refuse('RUN_SPEC', unfit);
  const local = localFromWire(consistency, wire, tensors);
  const pair = codecFault(codec, optimizer, consistency);
  if (pair) throw refuse('CODEC_PAIR', pair);
  const ofCodec: CodecOptions = {
    ...(codec === 'topk' ? { topKPercent: wire.topKPercent } : {}),
    ...(wire.topKWarmupSteps === 0 ? {} : { topKWarmupSteps: wire.topKWarmupSteps }),
    ...(wire.stochasticRounding ? { rounding: 'stochastic' } : {}),
  };
  const misfit = codecOptionsFault(codec, ofCodec);
  if (misfit) throw refuse('RUN_SPEC', misfit);
  const tables = tablesFromWire(wire.tables, consistency);
  if (tables.length > 0 && optimizer.clipNorm !== undefined)
    throw refuse(
      'RUN_SPEC',
      `expected no clipping by global norm with tables, whose rows the norm would leave out, got ${optimizer.clipNorm}; leave it out`,
    );
  const snapshots = snapshotsFromWire(wire);
  const kept = snapshots.snapshots !== undefined || snapshots.resume !== undefined;
  const rigid = wire.elastic
    ? elasticFault(consistency, codec, optimizer, tables.length, wire.backupWorkers, kept)
    : undefined;
  if (rigid) throw refuse('RUN_SPEC', rigid);
  const limit = gradientLimitFault(wire.gradientLimit);
  if (wire.gradientLimit !== 0 && limit) throw refuse('RUN_SPEC', limit);
  if (wire.workers < 1 || wire.workers > WORKERS_MAX)
    throw refuse('RUN_SPEC', `expected 1 to ${WORKERS_MAX} workers, got ${wire.workers}`);
  // 0: a client that is no job's has neither.
  if (wire.globalBatch > BATCH_MAX_SAMPLES || wire.epochs > EPOCHS_MAX)
    throw refuse(
      'RUN_SPEC',
      `expected a batch of at most ${BATCH_MAX_SAMPLES} samples and at most ${EPOCHS_MAX} epochs, got ${wire.globalBatch} and ${wire.epochs}`,
    );
  const backups = backupWorkersFault(wire.backupWorkers, { workers: wire.workers, consistency, codec });
  if (backups) throw refuse('RUN_SPEC', backups);
  if (wire.backupWorkers > 0 && tables.length > 0)
    throw refuse(
      'RUN_SPEC',
      `expected no backup workers with tables, whose rows wait for all workers, got ${wire.backupWorkers}; leave them out`,
    );
  return {
    job: wire.job,
    tensors,
    optimizer,
    consistency,
    ...(consistency === 'ssp' ? { staleness: wire.staleness } : {}),
    ...(wire.backupWorkers > 0 ? { backupWorkers: wire.backupWorkers } : {}),
    codec,
    workers: wire.workers,
    globalBatch: wire.globalBatch,
    epochs: wire.epochs,
    stepsPerEpoch: wire.stepsPerEpoch,
    seed: wire.seed,
    dataFingerprint: wire.dataFingerprint,
    ...(local && { local }),
    ...codecOptionsOfRun(codec, ofCodec),
    ...(tables.length > 0 && { tables }),
    ...(wire.gradientLimit === 0 ? {} : { gradientLimit: wire.gradientLimit }),
    ...(wire.elastic ? { elastic: true } : {}),
    ...(wire.replicas > 0 ? { replicas: wire.replicas } : {}),
    ...(wire.elastic && wire.refusalsLimit > 0 ? { refusalsLimit: wire.refusalsLimit } : {}),
    ...snapshots,
  };
}

const describeInner = (optimizer: OptimizerSpec) =>
  Object.fromEntries(
    Object.entries(describeOptimizer(optimizer)).map(([name, text]) => [`inner ${name}`, text]),
  );

/** All but the tensors and the snapshots, by the names that messages have. */
export function describeSpec(spec: RunSpec): Record<string, string | number | undefined> {
  return {
    job: spec.job,
    ...describeOptimizer(spec.optimizer),
    consistency: spec.consistency,
    staleness: spec.staleness ?? 0,
    'number of backup workers': spec.backupWorkers ?? 0,
    codec: spec.codec,
    'top-k percentage': spec.codec === 'topk' ? (spec.topKPercent ?? TOPK_PERCENT_DEFAULT) : undefined,
    'top-k warm-up steps': spec.topKWarmupSteps ?? 0,
    rounding: spec.stochasticRounding ? 'stochastic' : 'nearest',
    'gradient limit': spec.gradientLimit,
    elastic: spec.elastic ? 'on' : 'off',
    replicas: spec.replicas,
    'limit of refusals': spec.refusalsLimit,
    workers: spec.workers,
    batch: spec.globalBatch,
    epochs: spec.epochs,
    'steps per epoch': spec.stepsPerEpoch,
    seed: spec.seed,
    'data fingerprint': spec.dataFingerprint,
    ...(spec.local && { 'local steps': spec.local.steps, ...describeInner(spec.local.optimizer) }),
    ...describeTables(spec.tables ?? []),
  };
}

const describeSnapshots = ({ snapshots, resume }: RunSpec): Record<string, string | number | undefined> => ({
  'steps between snapshots': snapshots?.everySteps,
  'seconds between snapshots': snapshots?.everySeconds,
  'number of snapshots kept': snapshots?.keep,
  'snapshot to resume from': resume && `that of step ${resume.step}, ${resume.sha256.slice(0, 12)}`,
});

/** Why a worker with `theirs` cannot join a run of `ours`: the first difference; undefined if it can. */
export function specDifference(ours: RunSpec, theirs: RunSpec): Refused | undefined {
  const tensors = manifestDifference(ours.tensors, theirs.tensors);
  if (tensors)
    return refuse(
      'SCHEMA',
      `the model differs from the run's: ${tensors}; start every worker with the same job`,
    );
  const a = { ...describeSpec(ours), ...describeSnapshots(ours) };
  const b = { ...describeSpec(theirs), ...describeSnapshots(theirs) };
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
    if (a[key] !== b[key])
      return refuse(
        'RUN_SPEC',
        `the run's ${key} is ${a[key] ?? 'none'}, got ${b[key] ?? 'none'}; start every worker with the same options`,
      );
  return undefined;
}

/** Blocks of the spec's model; throws Refused where there would be too many. */
export function layoutOf(spec: RunSpec) {
  try {
    return layoutBlocks(spec.tensors);
  } catch (error) {
    throw refuse('SCHEMA', (error as Error).message);
  }
}
