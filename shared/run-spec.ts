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
import { CODEC_IDS, type CodecName } from './codec/codec.js';
import { LOCAL_STEPS_MAX, NAME_CHARACTERS_MAX, WORKERS_MAX } from './limits.js';
import type { Optimizer__Output, Optimizer as WireOptimizer } from './rpc/generated/gradloom/v1/Optimizer.js';
import type { RunSpec__Output, RunSpec as WireSpec } from './rpc/generated/gradloom/v1/RunSpec.js';
import { type Refused, refuse } from './rpc/refusal.js';

export type OptimizerSpec =
  | { readonly kind: 'sgd'; readonly learningRate: number }
  | {
      readonly kind: 'momentum';
      readonly learningRate: number;
      readonly momentum: number;
      readonly nesterov: boolean;
    }
  | {
      readonly kind: 'adam';
      readonly learningRate: number;
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
    };

export interface RunSpec {
  readonly job: string;
  readonly tensors: readonly TensorSpec[];
  /** What the servers run: under `local` on the differences that workers push. */
  readonly optimizer: OptimizerSpec;
  readonly consistency: ConsistencyName;
  readonly codec: CodecName;
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
}

/** Steps that each worker takes by itself between two exchanges. */
export interface LocalSpec {
  /** Steps of a round; one ends at the end of an epoch, too. */
  readonly steps: number;
  /** What each worker runs on its own parameters. */
  readonly optimizer: OptimizerSpec;
}

/** Names of the consistencies, with the numbers they have on the wire. */
export const CONSISTENCY_IDS = { bsp: 1, local: 4 } as const;
export type ConsistencyName = keyof typeof CONSISTENCY_IDS;

const KINDS: readonly TensorKind[] = ['trainable', 'state', 'frozen'];
const OPTIMIZERS = ['sgd', 'momentum', 'adam'] as const;

/** The optimizer of a name with TensorFlow.js's defaults. */
export function optimizerSpec(kind: OptimizerSpec['kind'], learningRate: number): OptimizerSpec {
  if (kind === 'adam') return { kind, learningRate, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
  if (kind === 'momentum') return { kind, learningRate, momentum: 0.9, nesterov: false };
  return { kind, learningRate };
}

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

/** How a block travels: non-trainable state always exactly, the rest by the run's codec. */
export function blockCodec(codec: CodecName, block: Pick<Block, 'kind'>): CodecName {
  return block.kind === 'trainable' ? codec : 'fp32';
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
    ...(spec.local && {
      localSteps: spec.local.steps,
      innerOptimizer: optimizerToWire(spec.local.optimizer),
    }),
  };
}

function optimizerToWire(optimizer: OptimizerSpec): WireOptimizer {
  return { ...optimizer, kind: (OPTIMIZERS.indexOf(optimizer.kind) + 1) as 1 | 2 | 3 };
}

function optimizerFromWire(wire: Optimizer__Output): OptimizerSpec {
  const kind = OPTIMIZERS[wire.kind - 1];
  if (!kind)
    throw refuse('RUN_SPEC', `expected an optimizer of ${OPTIMIZERS.join(', ')}, got number ${wire.kind}`);
  const { learningRate, momentum, nesterov, beta1, beta2, epsilon } = wire;
  if (!(learningRate > 0 && Number.isFinite(learningRate)))
    throw refuse('RUN_SPEC', `expected a learning rate above 0, got ${learningRate}`);
  if (![momentum, beta1, beta2].every((rate) => rate >= 0 && rate < 1) || !(epsilon >= 0))
    throw refuse(
      'RUN_SPEC',
      `expected momentum and betas in [0, 1) and epsilon of 0 or more, got ${momentum}, ${beta1}, ${beta2}, ${epsilon}`,
    );
  if (kind === 'adam') return { kind, learningRate, beta1, beta2, epsilon };
  return kind === 'momentum' ? { kind, learningRate, momentum, nesterov } : { kind, learningRate };
}

/** Throws Refused where local steps stand beside another consistency, or lack beside `local`. */
function localFromWire(
  consistency: ConsistencyName,
  { localSteps, innerOptimizer }: RunSpec__Output,
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
  return { steps: localSteps, optimizer: optimizerFromWire(innerOptimizer) };
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
  const optimizer = optimizerFromWire(wire.optimizer);
  const codec = (Object.keys(CODEC_IDS) as CodecName[]).find((name) => CODEC_IDS[name] === wire.codec);
  if (!codec)
    throw refuse(
      'RUN_SPEC',
      `expected a codec of ${Object.keys(CODEC_IDS).join(', ')}, got number ${wire.codec}`,
    );
  const consistencies = Object.keys(CONSISTENCY_IDS) as ConsistencyName[];
  const consistency = consistencies.find((name) => CONSISTENCY_IDS[name] === wire.consistency);
  if (!consistency)
    throw refuse(
      'RUN_SPEC',
      `expected a consistency of ${consistencies.join(', ')}, got number ${wire.consistency}`,
    );
  const local = localFromWire(consistency, wire);
  if (wire.workers < 1 || wire.workers > WORKERS_MAX)
    throw refuse('RUN_SPEC', `expected 1 to ${WORKERS_MAX} workers, got ${wire.workers}`);
  return {
    job: wire.job,
    tensors,
    optimizer,
    consistency,
    codec,
    workers: wire.workers,
    globalBatch: wire.globalBatch,
    epochs: wire.epochs,
    stepsPerEpoch: wire.stepsPerEpoch,
    seed: wire.seed,
    dataFingerprint: wire.dataFingerprint,
    ...(local && { local }),
  };
}

/** Why a worker with `theirs` cannot join a run of `ours`: the first difference; undefined if it can. */
export function specDifference(ours: RunSpec, theirs: RunSpec): Refused | undefined {
  const tensors = manifestDifference(ours.tensors, theirs.tensors);
  if (tensors)
    return refuse(
      'SCHEMA',
      `the model differs from the run's: ${tensors}; start every worker with the same job`,
    );
  const flat = (spec: RunSpec) => ({
    job: spec.job,
    optimizer: JSON.stringify(spec.optimizer),
    consistency: spec.consistency,
    codec: spec.codec,
    workers: spec.workers,
    batch: spec.globalBatch,
    epochs: spec.epochs,
    'steps per epoch': spec.stepsPerEpoch,
    seed: spec.seed,
    'data fingerprint': spec.dataFingerprint,
    'local steps': spec.local?.steps,
    'inner optimizer': JSON.stringify(spec.local?.optimizer),
  });
  const a = flat(ours);
  const b = flat(theirs);
  for (const key of Object.keys(a) as (keyof typeof a)[])
    if (a[key] !== b[key])
      return refuse(
        'RUN_SPEC',
        `the run's ${key} is ${a[key]}, got ${b[key]}; start every worker with the same options`,
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
