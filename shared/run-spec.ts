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
import { pairFault } from './codec/allowed-pairs.js';
import { CODEC_IDS, type Codec, type CodecName } from './codec/codec.js';
import { codecs } from './codec/registry.js';
import { TOPK_PERCENT_DEFAULT, TOPK_PERCENT_MAX, topk } from './codec/topk.js';
import { LOSSY_BLOCK_ELEMENTS_MIN, NAME_CHARACTERS_MAX, WORKERS_MAX } from './limits.js';
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
  readonly optimizer: OptimizerSpec;
  readonly consistency: 'bsp';
  readonly codec: CodecName;
  /** Codec topk alone: percentage of a block's elements that travel; TOPK_PERCENT_DEFAULT where it is not given. */
  readonly topKPercent?: number;
  /** Codec int8 alone: contributions are rounded by chance; else, and with it left out, to nearest. */
  readonly stochasticRounding?: boolean;
  /** Workers that the run waits for. */
  readonly workers: number;
  /** Samples of one step, over all workers. */
  readonly globalBatch: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly seed: number;
  readonly dataFingerprint: string;
}

const KINDS: readonly TensorKind[] = ['trainable', 'state', 'frozen'];
const OPTIMIZERS = ['sgd', 'momentum', 'adam'] as const;

/** The optimizer of a name with TensorFlow.js's defaults. */
export function optimizerSpec(kind: OptimizerSpec['kind'], learningRate: number): OptimizerSpec {
  if (kind === 'adam') return { kind, learningRate, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
  if (kind === 'momentum') return { kind, learningRate, momentum: 0.9, nesterov: false };
  return { kind, learningRate };
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
  return atWorkers ? { kind: 'sgd', learningRate: optimizer.learningRate } : optimizer;
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
 * The codec of each block, in canonical order, for one way. Top-k sends as much down as all workers together have sent
 * up: then what they sent comes back whole in the next step, instead of a second wait on the way down.
 */
export function codecsOf(
  spec: Pick<RunSpec, 'codec' | 'topKPercent' | 'workers'>,
  blocks: readonly Pick<Block, 'kind' | 'elements'>[],
  way: 'up' | 'down' = 'up',
): Codec[] {
  const percent = (spec.topKPercent ?? TOPK_PERCENT_DEFAULT) * (way === 'down' ? spec.workers : 1);
  const own = spec.codec === 'topk' ? topk(Math.min(percent, TOPK_PERCENT_MAX)) : codecs[spec.codec];
  return blocks.map((block) => {
    const name = blockCodec(spec.codec, block);
    return name === spec.codec ? own : codecs[name];
  });
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
    optimizer: { ...spec.optimizer, kind: (OPTIMIZERS.indexOf(spec.optimizer.kind) + 1) as 1 | 2 | 3 },
    consistency: 1,
    codec: CODEC_IDS[spec.codec],
    workers: spec.workers,
    globalBatch: spec.globalBatch,
    epochs: spec.epochs,
    stepsPerEpoch: spec.stepsPerEpoch,
    seed: spec.seed,
    dataFingerprint: spec.dataFingerprint,
    ...(spec.codec === 'topk' ? { topKPercent: spec.topKPercent ?? TOPK_PERCENT_DEFAULT } : {}),
    ...(spec.stochasticRounding ? { stochasticRounding: true } : {}),
  };
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
  const kind = OPTIMIZERS[wire.optimizer.kind - 1];
  const codec = (Object.keys(CODEC_IDS) as CodecName[]).find((name) => CODEC_IDS[name] === wire.codec);
  if (!kind)
    throw refuse(
      'RUN_SPEC',
      `expected an optimizer of ${OPTIMIZERS.join(', ')}, got number ${wire.optimizer.kind}`,
    );
  if (!codec)
    throw refuse(
      'RUN_SPEC',
      `expected a codec of ${Object.keys(CODEC_IDS).join(', ')}, got number ${wire.codec}`,
    );
  if (wire.consistency !== 1)
    throw refuse('RUN_SPEC', `expected consistency bsp, got number ${wire.consistency}`);
  const { learningRate, momentum, nesterov, beta1, beta2, epsilon } = wire.optimizer;
  if (!(learningRate > 0 && Number.isFinite(learningRate)))
    throw refuse('RUN_SPEC', `expected a learning rate above 0, got ${learningRate}`);
  if (![momentum, beta1, beta2].every((rate) => rate >= 0 && rate < 1) || !(epsilon >= 0))
    throw refuse(
      'RUN_SPEC',
      `expected momentum and betas in [0, 1) and epsilon of 0 or more, got ${momentum}, ${beta1}, ${beta2}, ${epsilon}`,
    );
  const pair = pairFault(codec, kind, 'bsp');
  if (pair) throw refuse('CODEC_PAIR', pair);
  if (codec === 'topk' && kind === 'momentum' && wire.optimizer.nesterov)
    throw refuse(
      'CODEC_PAIR',
      'codec topk expects momentum without Nesterov, which it would apply twice; switch nesterov off, or take another codec',
    );
  const { topKPercent } = wire;
  if (codec === 'topk' && !(topKPercent > 0 && topKPercent <= TOPK_PERCENT_MAX))
    throw refuse(
      'RUN_SPEC',
      `expected a top-k percentage above 0 and at most ${TOPK_PERCENT_MAX}, got ${topKPercent}`,
    );
  if (wire.stochasticRounding && codec !== 'int8')
    throw refuse('RUN_SPEC', `expected stochastic rounding with codec int8 alone, got ${codec}`);
  if (wire.workers < 1 || wire.workers > WORKERS_MAX)
    throw refuse('RUN_SPEC', `expected 1 to ${WORKERS_MAX} workers, got ${wire.workers}`);
  const optimizer: OptimizerSpec =
    kind === 'adam'
      ? { kind, learningRate, beta1, beta2, epsilon }
      : kind === 'momentum'
        ? { kind, learningRate, momentum, nesterov }
        : { kind, learningRate };
  return {
    job: wire.job,
    tensors,
    optimizer,
    consistency: 'bsp',
    codec,
    workers: wire.workers,
    globalBatch: wire.globalBatch,
    epochs: wire.epochs,
    stepsPerEpoch: wire.stepsPerEpoch,
    seed: wire.seed,
    dataFingerprint: wire.dataFingerprint,
    ...(codec === 'topk' ? { topKPercent } : {}),
    ...(wire.stochasticRounding ? { stochasticRounding: true } : {}),
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
    'top-k percentage': spec.codec === 'topk' ? (spec.topKPercent ?? TOPK_PERCENT_DEFAULT) : undefined,
    rounding: spec.stochasticRounding ? 'stochastic' : 'nearest',
    workers: spec.workers,
    batch: spec.globalBatch,
    epochs: spec.epochs,
    'steps per epoch': spec.stepsPerEpoch,
    seed: spec.seed,
    'data fingerprint': spec.dataFingerprint,
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
