// Local SGD on one worker: steps of its own optimizer on its own parameters, and after a round of them what came of
// it, as a contribution (Stich, "Local SGD converges fast and communicates little", ICLR 2019; with an outer optimizer
// on the servers: DiLoCo, Douillard et al., 2023). Works in the memory that the training thread and the exchange
// share; no I/O, no clock. What the optimizer remembers (momentum, Adam's moments and t) stays here across rounds.
import { type Block, type BlockLayout, blockOffset } from '../../shared/blocks/blocks.js';
import type { Kernels } from '../../shared/kernels/kernels.js';
import { applyOptimizer, initialSlots, measureBlock, type Update } from '../../shared/optimizer/apply.js';
import { ruleOf, type TensorRule } from '../../shared/optimizer/groups.js';
import { StepNorms } from '../../shared/optimizer/norms.js';
import type { OptimizerSpec } from '../../shared/optimizer/spec.js';

export interface LocalMemory {
  readonly kernels: Kernels;
  /** Byte addresses of fp32 arrays of `layout.elementsPadded`: gradients in (values, for state), differences out. */
  readonly gradients: number;
  /** This worker's parameters: as they were pulled, then as its steps make them. */
  readonly parameters: number;
  /** Byte address of `localBytes(...)`, which nobody else touches. */
  readonly own: number;
}

/** Sums over the samples of one step, or of the steps of a round. */
export interface StepSums {
  samples: number;
  lossSum: number;
  correct: number;
}

/** What a worker says of a round in its header; steps that it skipped are in none of the sums. */
export interface RoundSums extends StepSums {
  steps: number;
  skipped: number;
  /** False: every step was skipped, there is nothing to contribute; `samples` are those that were lost. */
  usable: boolean;
}

/** Bytes that a worker takes for the start of a round and for its optimizer's state. */
export function localBytes(layout: BlockLayout, optimizer: OptimizerSpec): number {
  return (1 + initialSlots(optimizer).length) * 4 * layout.elementsPadded;
}

/** A block that changes in training, and its place. */
interface LocalBlock extends Pick<Block, 'index' | 'tensor' | 'kind' | 'elements'> {
  /** Bytes from the start of a model. */
  readonly offset: number;
  readonly slots: readonly number[];
  readonly rule: TensorRule;
}

export class LocalSteps {
  readonly #layout: BlockLayout;
  readonly #optimizer: OptimizerSpec;
  readonly #memory: LocalMemory;
  readonly #modelBytes: number;
  /** Steps that the optimizer has taken: Adam's t is one more. */
  #updates = 0;
  /** Steps of the run, skipped ones too: what a schedule goes by. */
  #step = 0;
  /** What holds for each tensor. */
  readonly #rules: readonly TensorRule[];
  /** Of this worker's own gradient, where its optimizer waits for them. */
  readonly #norms: StepNorms;
  #sums: RoundSums = noSums();
  #lostSamples = 0;

  constructor(layout: BlockLayout, optimizer: OptimizerSpec, memory: LocalMemory) {
    this.#layout = layout;
    this.#optimizer = optimizer;
    this.#rules = layout.tensors.map(({ name }) => ruleOf(optimizer, name));
    this.#norms = new StepNorms(
      optimizer,
      layout.blocks.filter(({ kind }) => kind === 'trainable'),
    );
    this.#memory = memory;
    this.#modelBytes = 4 * layout.elementsPadded;
    this.#forget();
  }

  /** Takes the parameters as they stand for the start of the next round. */
  begin(): void {
    const { kernels, parameters, own } = this.#memory;
    kernels.copyBytes(parameters, this.#modelBytes, own);
    this.#sums = noSums();
    this.#lostSamples = 0;
  }

  /**
   * One step on the mean gradients of a batch; state takes the values that stand there. Where anything is not finite
   * the step is skipped: neither parameters nor state nor the optimizer's state change.
   * @returns whether it was applied
   */
  step({ samples, lossSum, correct }: StepSums): boolean {
    const { kernels, gradients, parameters } = this.#memory;
    const step = this.#step++;
    if (!Number.isFinite(lossSum) || !this.#allFinite()) {
      this.#sums.skipped++;
      this.#lostSamples += samples;
      return false;
    }
    const scale = this.#measure(step);
    for (const block of this.#blocks()) {
      const { offset, elements, kind, tensor } = block;
      if (kind === 'state') kernels.copyBytes(gradients + offset, 4 * elements, parameters + offset);
      else
        applyOptimizer(kernels, this.#optimizer, {
          ...this.#update(block, scale, step),
          ...(this.#optimizer.kind === 'lamb' && { trustRatio: this.#norms.trust(tensor) }),
        });
    }
    this.#updates++;
    this.#sums.steps++;
    this.#sums.samples += samples;
    this.#sums.lossSum += lossSum;
    this.#sums.correct += correct;
    return true;
  }

  /**
   * Ends the steps of a round: leaves in the gradients' memory what the servers take for a mean gradient, the
   * parameters before the round less those after it, and the values of state.
   */
  contribution(): RoundSums {
    const { kernels, gradients, parameters, own } = this.#memory;
    for (const { offset, elements, kind } of this.#blocks()) {
      if (kind === 'state') kernels.copyBytes(parameters + offset, 4 * elements, gradients + offset);
      else {
        kernels.scaleF32(own + offset, elements, 1, gradients + offset);
        kernels.addF32(parameters + offset, elements, -1, gradients + offset);
      }
    }
    const { steps } = this.#sums;
    return { ...this.#sums, usable: steps > 0, samples: steps > 0 ? this.#sums.samples : this.#lostSamples };
  }

  /**
   * Begins the next round: from the new parameters, or where this one was skipped from those that it began with.
   * @param finite whether this worker's contribution was. What led to one that was not may stand in the optimizer's
   * state as well, which then starts anew
   */
  end(skipped: boolean, finite: boolean): void {
    const { kernels, parameters, own } = this.#memory;
    if (skipped) kernels.copyBytes(own, this.#modelBytes, parameters);
    if (!finite) this.#forget();
    this.begin();
  }

  /** Begins the optimizer's state anew. */
  #forget(): void {
    const { kernels, own } = this.#memory;
    for (const [slot, value] of initialSlots(this.#optimizer).entries())
      kernels.f32(own + (1 + slot) * this.#modelBytes, this.#layout.elementsPadded).fill(value);
    this.#updates = 0;
  }

  /** Takes the norms that the optimizer waits for; returns the factor of the gradients. */
  #measure(step: number): number {
    const norms = this.#norms;
    norms.clear();
    let scale = 1;
    for (const [at, round] of norms.rounds.entries()) {
      for (const block of this.#blocks())
        if (block.kind === 'trainable') {
          const update = this.#update(block, scale, step);
          norms.add(at, block.index, measureBlock(this.#memory.kernels, this.#optimizer, round, update));
        }
      scale = norms.factor();
    }
    return scale;
  }

  #update(block: LocalBlock, gradientScale: number, step: number): Update {
    const { offset, elements, rule, slots } = block;
    const { gradients, parameters } = this.#memory;
    return {
      memory: { values: parameters + offset, accumulator: gradients + offset, slots },
      ...{ elements, gradientScale, version: this.#updates, step, rule },
    };
  }

  #allFinite(): boolean {
    const { kernels, gradients } = this.#memory;
    for (const { offset, elements } of this.#blocks())
      if (!kernels.allFinite(gradients + offset, elements)) return false;
    return true;
  }

  /** What changes in training, with each block's place: bytes from the start of a model, addresses of its slots. */
  *#blocks(): Generator<LocalBlock> {
    const slotCount = initialSlots(this.#optimizer).length;
    for (const block of this.#layout.blocks) {
      if (block.kind === 'frozen') continue;
      const offset = 4 * blockOffset(this.#layout, block);
      const slots = Array.from(
        { length: slotCount },
        (_, slot) => this.#memory.own + (1 + slot) * this.#modelBytes + offset,
      );
      yield { ...block, offset, rule: this.#rules[block.tensor], slots };
    }
  }
}

const noSums = (): RoundSums => ({ steps: 0, skipped: 0, samples: 0, lossSum: 0, correct: 0, usable: true });
