// What a run cannot be: pairs of settings that exclude each other, each with a sentence that says what was expected, what
// came and what to do. Options, the SDK and the wire ask the same questions here.
import { backupCodecFault } from '../codec/allowed-pairs.js';
import type { CodecName } from '../codec/codec.js';
import { codecs } from '../codec/registry.js';
import { REPLICAS_DEFAULT, STALENESS_MAX } from '../limits.js';
import { normRounds } from '../optimizer/norms.js';
import type { OptimizerSpec } from '../optimizer/spec.js';
import { CONSISTENCY_IDS, isClocked, type RunSpec } from './spec.js';

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
