// How each block of a run travels, and what the optimizer does with it: the run's codec, but exactly where a loss is
// not worth it, and momentum where the workers apply it.
import type { Block } from '../blocks/blocks.js';
import type { Codec, CodecName } from '../codec/codec.js';
import { codecs } from '../codec/registry.js';
import { TOPK_PERCENT_MAX, topk } from '../codec/topk.js';
import { type TopKOptions, topkPercentAt } from '../codec/topk-warm-up.js';
import { LOSSY_BLOCK_ELEMENTS_MIN } from '../limits.js';
import type { OptimizerSpec } from '../optimizer/spec.js';
import type { RunSpec } from './spec.js';

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
