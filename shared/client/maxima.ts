// The largest magnitude of every block of a step's gradients, found by the threads of a worker together: whoever is
// free takes the next block. Each block costs one reading of memory, and nothing can be sent before the last one is
// known, so a thread that has computed the gradients, and only waits from then on, helps the one that sends them.
import { type Block, type BlockLayout, blockOffset } from '../blocks/blocks.js';
import type { Kernels } from '../kernels/kernels.js';

/** Fields in front of those of the blocks: the number of the step, and which block nobody has taken. */
const STEP = 0;
const NEXT = 1;
const HEAD = 2;

export interface GradientMemory {
  readonly kernels: Kernels;
  /** Byte address of fp32 gradients laid out as the model. */
  readonly gradients: number;
}

export class Maxima {
  readonly #memory: GradientMemory;
  readonly #layout: BlockLayout;
  readonly #blocks: readonly Block[];
  /** STEP, NEXT, then of each block the step for which its maximum is there. */
  readonly #state: Int32Array;
  readonly #maxima: Float32Array;

  /** @param shared memory of `Maxima.share(layout)`, the same in every thread */
  constructor(memory: GradientMemory, layout: BlockLayout, shared: SharedArrayBuffer) {
    const fields = HEAD + layout.blocks.length;
    this.#memory = memory;
    this.#layout = layout;
    this.#blocks = layout.blocks.filter(({ kind }) => kind !== 'frozen');
    this.#state = new Int32Array(shared, 0, fields);
    this.#maxima = new Float32Array(shared, 4 * fields, layout.blocks.length);
  }

  /** Memory for the maxima of all blocks, in which none is known. */
  static share({ blocks }: BlockLayout): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * (HEAD + 2 * blocks.length));
  }

  /** The gradients of another step are there: told by the thread that wrote them, before the others hear of them. */
  begin(): void {
    Atomics.store(this.#state, NEXT, 0);
    // 0 is the step of which nothing was ever measured.
    Atomics.store(this.#state, STEP, (Atomics.load(this.#state, STEP) % 0x7fffffff) + 1);
  }

  /** Measures blocks until there is none that nobody has taken. */
  find(): void {
    const step = Atomics.load(this.#state, STEP);
    for (;;) {
      const block = this.#blocks[Atomics.add(this.#state, NEXT, 1)];
      if (!block) return;
      this.#store(block, step);
    }
  }

  /** Largest magnitude of a block; NaN if one of its elements is. What another thread still measures is not waited for. */
  of(block: Block): number {
    const step = Atomics.load(this.#state, STEP);
    if (Atomics.load(this.#state, HEAD + block.index) !== step) this.#store(block, step);
    return this.#maxima[block.index];
  }

  #store(block: Block, step: number): void {
    const { kernels, gradients } = this.#memory;
    this.#maxima[block.index] = kernels.absmax(
      gradients + 4 * blockOffset(this.#layout, block),
      block.elements,
    );
    Atomics.store(this.#state, HEAD + block.index, step);
  }
}
