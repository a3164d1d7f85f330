// Shards driven by hand: a small run, gradients from a seed, payloads as a worker would encode them, and what a
// shard holds, to the bit.

import { Shard } from '../../server/shard.js';
import { blockBytes } from '../../server/shard-memory.js';
import type { Header } from '../../server/step-headers.js';
import { place } from '../../shared/blocks/placement.js';
import type { Codec, DirectCodecName, LossyCodec } from '../../shared/codec/codec.js';
import { codecs } from '../../shared/codec/registry.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../../shared/limits.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { keyedRandom } from '../../shared/random.js';
import type { Bulk } from '../../shared/rpc/bulk.js';
import { checksumOf } from '../../shared/rpc/checksum.js';
import { codecsOf } from '../../shared/run/block-codecs.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';

/** A run of a small model with every kind of tensor. */
export function makeSpec(changes: Partial<RunSpec> = {}): RunSpec {
  return {
    job: 'test',
    tensors: [
      { name: 'dense/kernel', shape: [7, 11], kind: 'trainable' },
      { name: 'dense/bias', shape: [11], kind: 'trainable' },
      { name: 'norm/moving_mean', shape: [11], kind: 'state' },
      { name: 'embedding', shape: [5, 3], kind: 'frozen' },
      { name: 'out/kernel', shape: [11, 3], kind: 'trainable' },
      { name: 'scale', shape: [], kind: 'trainable' },
    ],
    optimizer: optimizerSpec('adam', 1e-2),
    consistency: 'bsp',
    codec: 'fp16',
    replicas: 1,
    workers: 2,
    globalBatch: 64,
    epochs: 1,
    stepsPerEpoch: 10,
    seed: 1,
    dataFingerprint: 'none',
    ...changes,
  };
}

export const finiteHeader: Header = { samples: 8, allFinite: true, lossScale: 1, lossSum: 4, correct: 2 };

/** Standard normal numbers of a key. */
export function normals(elements: number, ...key: (string | number)[]): Float32Array {
  const random = keyedRandom(1, ...key);
  return Float32Array.from({ length: elements }, () => random.normal());
}

const kernels = loadKernels({ bytes: 5 * BLOCK_PAYLOAD_MAX_BYTES });
const source = kernels.firstFreeByte;
const target = source + BLOCK_PAYLOAD_MAX_BYTES;
const residual = target + BLOCK_PAYLOAD_MAX_BYTES;
const next = residual + BLOCK_PAYLOAD_MAX_BYTES;

/** A contribution (or initial values) as it comes out of the deserializer. */
export function bulkOf(step: number, block: number, codec: DirectCodecName, values: Float32Array): Bulk {
  kernels.f32(source, values.length).set(values);
  const scale = codecs[codec].encode(kernels, source, values.length, target);
  return bulkAt(step, block, codecs[codec], scale, values.length);
}

/** A first contribution in a lossy codec, as nothing has been left out before. */
export function lossyBulkOf(step: number, block: number, codec: LossyCodec, values: Float32Array): Bulk {
  const elements = values.length;
  kernels.f32(source, elements).set(values);
  kernels.f32(residual, elements).fill(0);
  const { scale } = codec.encode(kernels, {
    gradient: source,
    residual,
    elements,
    lossScale: 1,
    dst: target,
    next,
  });
  return bulkAt(step, block, codec, scale, elements);
}

/** A block's first contribution in any codec. */
export function firstBulkOf(step: number, block: number, codec: Codec, values: Float32Array): Bulk {
  return codec.lossy ? lossyBulkOf(step, block, codec, values) : bulkOf(step, block, codec.name, values);
}

function bulkAt(step: number, block: number, codec: Codec, scale: number, elements: number): Bulk {
  const payload = Buffer.from(kernels.u8(target, codec.payloadBytes(elements)));
  return {
    step,
    block,
    codec: codec.id,
    scale,
    checksum: checksumOf(payload),
    version: 0,
    fetched: false,
    clockMin: 0,
    clockMax: 0,
    payload,
  };
}

/** A payload's bytes changed by hand, with the checksum that fits. */
export function withPayload(bulk: Bulk, payload: Buffer): Bulk {
  return { ...bulk, payload, checksum: checksumOf(payload) };
}

/** A block's values on a shard, exact. */
export function valuesOf(shard: Shard, block: number): Float32Array {
  const bytes = shard.encode(block, 'fp32').payload.slice();
  return new Float32Array(bytes.buffer);
}

/** Everything that a shard shows of its state, for comparison before and after. */
export function stateOf(shard: Shard): object {
  return {
    step: shard.step,
    heldBytes: shard.heldBytes,
    waitingFor: shard.waitingFor(),
    blocks: [...shard.blockIndices].map((block) => {
      const { step, version, payload } = shard.encode(block, 'fp32');
      return { block, step, version, bytes: Buffer.from(payload).toString('hex') };
    }),
  };
}

export interface ShardSet {
  readonly shards: readonly Shard[];
  /** Index of the shard that owns each block. */
  readonly owners: readonly number[];
}

/** The shards of a run on some servers, with their initial values. */
export function makeShards(spec: RunSpec, servers: number, initialize = true): ShardSet {
  const layout = layoutOf(spec);
  const owners = place({
    sizes: layout.blocks.map((block) => blockBytes(block, spec.optimizer, spec.codec)),
    servers: Array.from({ length: servers }, (_, id) => ({ id, weight: 1 })),
  });
  const shards = Array.from({ length: servers }, (_, server) => {
    const owned = layout.blocks.flatMap(({ index }) => (owners[index] === server ? [index] : []));
    const shard = new Shard(spec, layout, owned, undefined, server === 0);
    if (initialize)
      for (const index of owned)
        shard.initial(
          0,
          bulkOf(0, index, 'fp32', normals(layout.blocks[index].elements, 'initial', spec.seed, index)),
        );
    return shard;
  });
  return { shards, owners };
}

/** All blocks in canonical order, exact, as one array of bits. */
export function bitsOfAll({ shards, owners }: ShardSet): Uint32Array {
  const blocks = owners.map((owner, block) => valuesOf(shards[owner], block));
  const all = new Float32Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const block of blocks) {
    all.set(block, at);
    at += block.length;
  }
  return new Uint32Array(all.buffer);
}

/** A worker's gradient (or state) of a block at a step: of very different sizes, so that the order of a sum shows. */
export function gradientOf(spec: RunSpec, step: number, worker: number, block: number): Float32Array {
  const { elements } = layoutOf(spec).blocks[block];
  return normals(elements, 'gradient', spec.seed, step, worker, block).map((x, i) => x * 10 ** ((i % 5) - 3));
}

export function headerOf(step: number, worker: number): Header {
  const samples = 5 + ((7 * worker + 3 * step) % 11);
  return { samples, allFinite: true, lossScale: 2 ** (worker % 3), lossSum: samples * 0.7, correct: 1 };
}

/** A worker's contribution as it would be encoded; gradients have its loss scale in them, state has not. */
export function contributionOf(spec: RunSpec, step: number, worker: number, block: number): Bulk {
  const { blocks } = layoutOf(spec);
  const { kind } = blocks[block];
  const { lossScale } = headerOf(step, worker);
  const values = gradientOf(spec, step, worker, block).map((x) => (kind === 'trainable' ? x * lossScale : x));
  return firstBulkOf(step, block, codecsOf(spec, blocks)[block], values);
}
