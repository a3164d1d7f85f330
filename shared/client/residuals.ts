// What lossy contributions left out (error feedback: Seide et al., "1-bit stochastic gradient descent", 2014). Each
// block has two arrays: the residual that counts, and the one that the contribution under way leaves. They change
// places when the step was applied; so a contribution can be encoded again to the same bytes, and a skipped step
// leaves everything as it was. Direct codecs have none: fp16 and bf16 round each element by itself to 11 or 8 bits,
// no element is ever lost, and eight more bytes of memory for each parameter would buy nothing.
import { type Block, type BlockLayout, blockOffset } from '../blocks/blocks.js';
import type { Codec, LossyCodec } from '../codec/codec.js';
import type { Kernels, RoundingKey } from '../kernels/kernels.js';
import { codecsOf, workerMomentum } from '../run/block-codecs.js';
import type { RunSpec } from '../run/spec.js';

/**
 * Bytes that the residuals of a run take on each worker: two models' worth with a lossy codec, four where the worker
 * applies the momentum, else none.
 */
export function residualBytes(spec: RunSpec, layout: BlockLayout): number {
  if (!codecsOf(spec, layout.blocks).some(({ lossy }) => lossy)) return 0;
  return (workerMomentum(spec) === undefined ? 2 : 4) * 4 * layout.elementsPadded;
}

interface Bounds {
  residual: number;
  velocity: number;
}

/** Above one by more than what roundings add to a bound. */
const ROUNDING = 1 + 2 ** -10;

export class Residuals {
  readonly #kernels: Kernels;
  readonly #layout: BlockLayout;
  /** Byte address of fp32 arrays laid out as the model: two of residuals, then two of velocities where there are any. */
  readonly #memory: number;
  readonly #momentum: number | undefined;
  /** Which of the two counts, by block. */
  readonly #current: (0 | 1)[];
  readonly #codecs: readonly Codec[];
  /** What no magnitude of a block's arrays is above: of those that count, and of the next. */
  readonly #bounds: [Bounds, Bounds][];
  /** Largest magnitude of each block's gradient, unscaled, where `encodable` was asked of it. */
  readonly #gradients: (number | undefined)[] = [];
  /** Blocks encoded in the step under way. */
  readonly #encoded = new Set<number>();

  /**
   * @param memory byte address of `residualBytes(...)` zeros
   * @param momentum `workerMomentum(...)` of the run
   */
  constructor(
    kernels: Kernels,
    layout: BlockLayout,
    codecs: readonly Codec[],
    memory: number | undefined,
    momentum: number | undefined,
  ) {
    if (memory === undefined && codecs.some(({ lossy }) => lossy))
      throw new Error('a lossy codec needs memory for residuals');
    this.#kernels = kernels;
    this.#layout = layout;
    this.#memory = memory ?? 0;
    this.#momentum = momentum;
    this.#current = codecs.map(() => 0);
    this.#codecs = codecs;
    this.#bounds = codecs.map(() => [
      { residual: 0, velocity: 0 },
      { residual: 0, velocity: 0 },
    ]);
  }

  /**
   * Whether every element of gradient + residual · lossScale is a number below the codec's limit. The largest magnitude
   * of the gradient, and what is known of the residual, tell; only where that is not enough the sums are looked at.
   * @param gradient byte address of the block's gradient
   * @param largest its `absmax`
   */
  encodable(codec: LossyCodec, block: Block, gradient: number, largest: number, lossScale: number): boolean {
    const { elements, index } = block;
    const { residual } = this.#bounds[index][this.#current[index]];
    this.#gradients[index] = largest / lossScale;
    const most = largest + residual * lossScale;
    if (most * ROUNDING < codec.magnitudeLimit) return true;
    const current = this.#at(block, this.#current[index]);
    return this.#kernels.absmaxOfSum(gradient, current, elements, lossScale) < codec.magnitudeLimit;
  }

  /**
   * Encodes a block's contribution to `dst`; returns its scale. Changes no residual that counts.
   * @throws NonFiniteError
   */
  encode(
    codec: LossyCodec,
    block: Block,
    gradient: number,
    lossScale: number,
    dst: number,
    rounding?: RoundingKey,
  ): number {
    const current = this.#current[block.index];
    const other = current === 0 ? 1 : 0;
    const { scale, absmax } = codec.encode(this.#kernels, {
      gradient,
      residual: this.#at(block, current),
      elements: block.elements,
      lossScale,
      dst,
      next: this.#at(block, other),
      rounding,
      correction:
        this.#momentum === undefined
          ? undefined
          : {
              momentum: this.#momentum,
              velocity: this.#at(block, current, 2),
              nextVelocity: this.#at(block, other, 2),
            },
    });
    this.#bound(block.index, current, other, absmax / lossScale);
    this.#encoded.add(block.index);
    return scale;
  }

  /** The step is decided. Applied: what its contributions left out is the residual from now on; else nothing changes. */
  settle(applied: boolean): void {
    if (applied) for (const block of this.#encoded) this.#current[block] = this.#current[block] === 0 ? 1 : 0;
    this.#encoded.clear();
    this.#gradients.length = 0;
  }

  /** Views of the residuals (and velocities) that count, between two steps. */
  arrays(): Map<string, Float32Array<SharedArrayBuffer>> {
    const arrays = new Map<string, Float32Array<SharedArrayBuffer>>();
    for (const [index, { lossy }] of this.#codecs.entries()) {
      if (!lossy) continue;
      const block = this.#layout.blocks[index];
      const view = (first: 0 | 2) =>
        this.#kernels.f32(this.#at(block, this.#current[index], first), block.elements);
      arrays.set(`${index}.residual`, view(0));
      if (this.#momentum !== undefined) arrays.set(`${index}.velocity`, view(2));
    }
    return arrays;
  }

  /** What counts has been filled from a snapshot. */
  restored(): void {
    for (const [index, { lossy }] of this.#codecs.entries()) {
      if (!lossy) continue;
      const block = this.#layout.blocks[index];
      const most = (first: 0 | 2) =>
        this.#kernels.absmax(this.#at(block, this.#current[index], first), block.elements);
      this.#bounds[index][this.#current[index]] = {
        residual: most(0),
        velocity: this.#momentum === undefined ? 0 : most(2),
      };
    }
  }

  /** @param absmax largest magnitude of what was encoded, unscaled */
  #bound(block: number, current: 0 | 1, other: 0 | 1, absmax: number): void {
    const bounds = this.#bounds[block];
    const momentum = this.#momentum ?? 0;
    // Else |gradient| is at most |sum| + |residual|; but bounds that follow from one another so rise without end.
    const gradient = this.#gradients[block] ?? absmax + bounds[current].residual;
    const velocity = momentum === 0 ? 0 : (gradient + momentum * bounds[current].velocity) * ROUNDING;
    bounds[other] = { residual: (absmax + momentum * velocity) * ROUNDING, velocity };
  }

  #at(block: Block, which: 0 | 1, first: 0 | 2 = 0): number {
    const { elementsPadded } = this.#layout;
    return this.#memory + 4 * ((first + which) * elementsPadded + blockOffset(this.#layout, block));
  }
}
