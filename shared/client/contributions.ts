// A worker's contributions before they go on the wire: looked at once, when the header is written, and encoded when
// their server has room. What a lossy codec leaves out is in the residuals, which change when the step is decided.
import { type Block, blockOffset } from '../blocks/blocks.js';
import type { Codec } from '../codec/codec.js';
import { codecsByStep, workerMomentum } from '../run/block-codecs.js';
import type { RunSpec } from '../run/spec.js';
import type { ExchangeOptions } from './exchange-options.js';
import { Residuals } from './residuals.js';

type Given = Pick<ExchangeOptions, 'layout' | 'memory' | 'rank' | 'spec'>;

export class Contributions {
  readonly residuals: Residuals;
  /** How each block's contribution to a step travels. */
  readonly codecsAt: (step: number) => readonly Codec[];
  readonly #options: Given;
  /** The first tensor, from 1, that `measure` found at fault; 0: none. */
  #faultyTensor = 0;
  /** Largest magnitude of each block in a direct codec, from `measure` to the end of the step. */
  #absmax: (number | undefined)[] = [];

  /** @param step the first one */
  constructor(options: Given, spec: RunSpec, step: number) {
    const { layout, memory, rank } = options;
    this.#options = options;
    this.codecsAt = codecsByStep(spec, layout.blocks, 'up');
    this.residuals = new Residuals(
      memory.kernels,
      layout,
      // Who only reads leaves nothing out, and has no room for it.
      rank === undefined ? [] : this.codecsAt(step),
      memory.residuals,
      workerMomentum(spec),
    );
  }

  /** What a header says of gradients that are not all finite: the first tensor, from 1, at fault; 0: none is known. */
  get faultyTensor(): number {
    return this.#faultyTensor;
  }

  /** As `Exchange.measure`. */
  measure(step: number, spec: RunSpec, lossScale: number): boolean {
    const { layout } = this.#options;
    const codecs = this.codecsAt(step);
    this.#absmax.length = 0;
    this.#options.memory.maxima?.find();
    // Where a worker may be put out for it, it says itself that a gradient is above the limit.
    const { elastic, gradientLimit = Number.POSITIVE_INFINITY } = spec;
    const faulty = layout.blocks.find((block) => {
      if (block.kind === 'frozen') return false;
      const limit =
        elastic && block.kind === 'trainable' ? gradientLimit * lossScale : Number.POSITIVE_INFINITY;
      return !this.#fits(codecs[block.index], block, lossScale, limit);
    });
    this.#faultyTensor = faulty ? faulty.tensor + 1 : 0;
    return faulty === undefined;
  }

  #fits(codec: Codec, block: Block, lossScale: number, limit: number): boolean {
    const { layout, memory } = this.#options;
    const at = memory.gradients + 4 * blockOffset(layout, block);
    const absmax = memory.maxima?.of(block) ?? memory.kernels.absmax(at, block.elements);
    if (codec.lossy) return this.residuals.encodable(codec, block, at, absmax, lossScale);
    this.#absmax[block.index] = absmax;
    return absmax < codec.magnitudeLimit && absmax <= limit;
  }

  /** Encodes a block's contribution to a step to `dst`; returns its scale. Again, it gives the same bytes. */
  encode(step: number, block: Block, lossScale: number, dst: number): number {
    const { layout, memory, spec, rank } = this.#options;
    const { kernels } = memory;
    const codec = this.codecsAt(step)[block.index];
    const gradient = memory.gradients + 4 * blockOffset(layout, block);
    if (!codec.lossy) return codec.encode(kernels, gradient, block.elements, dst, this.#absmax[block.index]);
    const rounding = spec.stochasticRounding
      ? { seed: spec.seed, worker: rank as number, step, block: block.index }
      : undefined;
    return this.residuals.encode(codec, block, gradient, lossScale, dst, rounding);
  }

  /** The step is decided. @param applied whether it holds these contributions */
  settle(applied: boolean): void {
    this.residuals.settle(applied);
    this.#absmax.length = 0;
  }
}
