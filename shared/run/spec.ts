// A run as all its nodes know it: the type that the cores work with, and what follows from it.
import { layoutBlocks } from '../blocks/blocks.js';
import type { TensorSpec } from '../blocks/manifest.js';
import type { CodecName } from '../codec/codec.js';
import type { OptimizerSpec } from '../optimizer/spec.js';
import type { RowTableSpec } from '../rows/tables.js';
import { refuse } from '../rpc/refusal.js';

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

/** The name of a consistency on the wire. */
export function consistencyOf(id: number | undefined): ConsistencyName | undefined {
  return (Object.keys(CONSISTENCY_IDS) as ConsistencyName[]).find((name) => CONSISTENCY_IDS[name] === id);
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

/** Blocks of the spec's model; throws Refused where there would be too many. */
export function layoutOf(spec: RunSpec) {
  try {
    return layoutBlocks(spec.tensors);
  } catch (error) {
    throw refuse('SCHEMA', (error as Error).message);
  }
}
