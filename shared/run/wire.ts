// A run's spec on the wire, both ways. What comes from the network is checked before it is used.
import { manifestFault, schemaHash, type TensorKind, type TensorSpec } from '../blocks/manifest.js';
import { codecFault } from '../codec/allowed-pairs.js';
import { CODEC_IDS, type CodecName } from '../codec/codec.js';
import { type CodecOptions, codecOptionsFault, codecOptionsOfRun } from '../codec/codec-options.js';
import { TOPK_PERCENT_DEFAULT } from '../codec/topk.js';
import {
  BATCH_MAX_SAMPLES,
  EPOCHS_MAX,
  LOCAL_STEPS_MAX,
  NAME_CHARACTERS_MAX,
  SNAPSHOT_MINUTES_MAX,
  SNAPSHOT_STEPS_MAX,
  SNAPSHOTS_KEPT_MAX,
  WORKERS_MAX,
} from '../limits.js';
import { optimizerFromWire, optimizerToWire } from '../optimizer/wire.js';
import { tablesFromWire, tableToWire } from '../rows/tables.js';
import type { RunSpec__Output, RunSpec as WireSpec } from '../rpc/generated/gradloom/v1/RunSpec.js';
import { refuse } from '../rpc/refusal.js';
import {
  backupWorkersFault,
  consistencyFault,
  elasticFault,
  gradientLimitFault,
  normsFault,
} from './faults.js';
import {
  CONSISTENCY_IDS,
  type ConsistencyName,
  consistencyOf,
  type LocalSpec,
  type RunSpec,
} from './spec.js';

const KINDS: readonly TensorKind[] = ['trainable', 'state', 'frozen'];

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
