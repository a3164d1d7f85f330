// Local SGD on pure shards, driven by hand: workers whose gradients pull towards targets of their own, so that what
// they do between two exchanges shows.
import { blockOffset } from '../../shared/blocks/blocks.js';
import type { DirectCodecName } from '../../shared/codec/codec.js';
import { codecs } from '../../shared/codec/registry.js';
import { Arena } from '../../shared/kernels/arena.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { stagePayload } from '../../shared/rpc/frame.js';
import { blockCodec } from '../../shared/run/block-codecs.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { LocalSteps, localBytes } from '../../worker/local/local-steps.js';
import { roundsOf } from '../../worker/local/rounds.js';
import { bulkOf, makeShards, normals, type ShardSet } from './shards.js';

/** Samples of a worker at a step. */
export const samplesOf = (worker: number, step: number): number => 5 + ((7 * worker + 3 * step) % 11);

/** Where a worker's batch at a step pulls a block's elements. */
export function targetOf(worker: number, step: number, block: number, elements: number): Float32Array {
  return normals(elements, 'target', worker, step, block);
}

/** The gradient of half the squared distance, stretched differently for each element. */
export const gradientAt = (value: number, target: number, i: number): number =>
  (value - target) * (1 + (i % 3));

/** A moving average towards the target, as BatchNorm's statistics. */
export const stateAt = (value: number, target: number): number => 0.9 * value + 0.1 * target;

export interface LocalWorker {
  readonly local: LocalSteps;
  block(memory: 'gradients' | 'parameters', block: number): Float32Array;
  /** Fills the gradients' memory from the parameters at a step. */
  compute(step: number): void;
  finite(): boolean;
  receive(set: ShardSet): void;
}

export function localWorker(spec: RunSpec, rank: number): LocalWorker {
  const layout = layoutOf(spec);
  const optimizer = spec.local?.optimizer ?? spec.optimizer;
  const modelBytes = 4 * layout.elementsPadded;
  const kernels = loadKernels({ bytes: 3 * modelBytes + localBytes(layout, optimizer) + 4096 });
  const arena = new Arena(kernels);
  const at = {
    gradients: arena.alloc(modelBytes),
    parameters: arena.alloc(modelBytes),
    own: arena.alloc(localBytes(layout, optimizer)),
  };
  const scratch = arena.alloc(modelBytes);
  const address = (memory: keyof typeof at, block: number) =>
    at[memory] + 4 * blockOffset(layout, layout.blocks[block]);
  const view = (memory: keyof typeof at, block: number) =>
    kernels.f32(address(memory, block), layout.blocks[block].elements);
  const exchanged = layout.blocks.filter(({ kind }) => kind !== 'frozen');
  return {
    local: new LocalSteps(layout, optimizer, { kernels, ...at }),
    block: view,
    compute(step) {
      for (const { index, elements, kind } of exchanged) {
        const target = targetOf(rank, step, index, elements);
        const now = view('parameters', index);
        view('gradients', index).set(
          now.map((x, i) => (kind === 'state' ? stateAt(x, target[i]) : gradientAt(x, target[i], i))),
        );
      }
    },
    finite: () =>
      exchanged.every(({ index, elements }) => kernels.allFinite(address('gradients', index), elements)),
    receive({ shards, owners }) {
      for (const block of layout.blocks) {
        const codec = codecs[blockCodec(spec.codec, block) as DirectCodecName];
        const { payload, scale } = shards[owners[block.index]].encode(block.index, codec.name);
        const staged = stagePayload(kernels, Buffer.from(payload), scratch);
        codec.decode(kernels, staged, block.elements, scale, address('parameters', block.index));
      }
    },
  };
}

export interface LocalRun {
  readonly set: ShardSet;
  readonly workers: readonly LocalWorker[];
  readonly skippedRounds: readonly number[];
}

/**
 * A whole run of `spec.epochs` by the workers' local steps and the shards' outer ones.
 * @param spoil changes a worker's memory after it has computed a step, before its optimizer takes it
 */
export function runLocally(
  spec: RunSpec,
  servers: number,
  spoil: (worker: LocalWorker, rank: number, step: number) => void = () => undefined,
): LocalRun {
  const set = makeShards(spec, servers);
  const { blocks } = layoutOf(spec);
  const workers = Array.from({ length: spec.workers }, (_, rank) => localWorker(spec, rank));
  const skippedRounds: number[] = [];
  for (const worker of workers) {
    worker.receive(set);
    worker.local.begin();
  }
  const rounds = roundsOf(spec);
  let round = 0;
  for (let step = 0; step < spec.epochs * spec.stepsPerEpoch; step++) {
    for (const [rank, worker] of workers.entries()) {
      worker.compute(step);
      spoil(worker, rank, step);
      worker.local.step({ samples: samplesOf(rank, step), lossSum: 1, correct: 1 });
    }
    if (!rounds.endsWith(step)) continue;
    const ends = workers.map(({ local, finite }) => ({ sums: local.contribution(), finite: finite() }));
    const isSkipped = ends.some(({ sums, finite }) => !(sums.usable && finite));
    if (isSkipped) skippedRounds.push(round);
    for (const [rank, { sums, finite }] of ends.entries())
      for (const [server, shard] of set.shards.entries()) {
        shard.header(rank, round, { ...sums, allFinite: sums.usable && finite, lossScale: 1 });
        if (isSkipped) continue;
        for (const block of blocks) {
          if (block.kind === 'frozen' || set.owners[block.index] !== server) continue;
          const values = workers[rank].block('gradients', block.index);
          shard.contribution(
            rank,
            bulkOf(round, block.index, blockCodec(spec.codec, block) as DirectCodecName, values),
          );
        }
      }
    for (const [rank, worker] of workers.entries()) {
      if (!isSkipped) worker.receive(set);
      worker.local.end(isSkipped, ends[rank].finite);
    }
    round++;
  }
  return { set, workers, skippedRounds };
}
