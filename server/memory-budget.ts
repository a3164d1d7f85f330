// Whether a model fits onto the servers that are there, and how many it would take. Pure.
import { type Refused, refuse } from '../shared/rpc/refusal.js';
import { layoutOf, type RunSpec } from '../shared/run/spec.js';
import { blockBytes, SHARD_FIXED_BYTES } from './shard-memory.js';

const MiB = 1024 * 1024;

/** Bytes of a run's blocks on one of so many servers, at most: a balanced shard may be one block over its share. */
export function shareBytes(spec: RunSpec, servers: number): number {
  const sizes = layoutOf(spec).blocks.map((block) =>
    blockBytes(block, spec.optimizer, spec.codec, spec.elastic),
  );
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return total / servers + SHARD_FIXED_BYTES + sizes.reduce((largest, size) => Math.max(largest, size), 0);
}

/**
 * Why a run does not fit, with the number of servers that it needs; undefined if it does.
 * A balanced shard may be one block over its share; that block is counted.
 * @param availableBytes what each server of the mesh has for other shards
 * @param replicas servers that hold each shard
 */
export function memoryRefusal(
  spec: RunSpec,
  availableBytes: readonly number[],
  replicas = 1,
): Refused | undefined {
  const sizes = layoutOf(spec).blocks.map((block) =>
    blockBytes(block, spec.optimizer, spec.codec, spec.elastic),
  );
  const total = replicas * sizes.reduce((sum, size) => sum + size, 0);
  const overhead =
    replicas * (SHARD_FIXED_BYTES + sizes.reduce((largest, size) => Math.max(largest, size), 0));
  const available = Math.min(...availableBytes);
  if (total / availableBytes.length + overhead <= available) return undefined;
  const room = available - overhead;
  const advice = room > 0 ? `start ${Math.ceil(total / room)} servers` : 'give each server more --memory';
  return refuse(
    'MEMORY',
    `the model needs ${Math.ceil(total / MiB)} MiB on the servers (weights, gradients and the state of ${spec.optimizer.kind}${replicas > 1 ? `, ${replicas} times` : ''}), ` +
      `${availableBytes.length} of ${Math.floor(available / MiB)} MiB each are free; ${advice}`,
  );
}
