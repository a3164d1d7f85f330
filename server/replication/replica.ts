// A backup's copy of a shard: takes what the primary has done, in order, and knows how far that goes. When the primary
// is gone it goes on from there (Shard.takeOver). Pure: messages in, state out.
import type { Bulk } from '../../shared/rpc/bulk.js';
import { keep, recycle } from '../../shared/rpc/receive.js';
import { refuse } from '../../shared/rpc/refusal.js';
import type { BlockSums, Opening, Shard } from '../shard.js';
import type { Outcome } from '../step-headers.js';

export class Replica {
  /** Steps decided on each block that takes contributions. */
  readonly #decided = new Map<number, number>();
  /** Steps decided on all of them. */
  #step: number;
  #outcome: Outcome | undefined;
  #isWhole = false;
  /** Whether a copy of all is on its way. */
  #isCopying = false;
  /** Blocks that the primary has asked for meanwhile, and not said yet whether they stay. */
  readonly #compared = new Set<number>();
  /** Arrays of a block of which not all have come. */
  #arrays: Bulk[] = [];

  /**
   * @param exchanged blocks of the shard that take contributions
   * @param fromStep step from which the run goes on
   */
  constructor(
    readonly shard: Shard,
    exchanged: readonly number[],
    fromStep: number,
  ) {
    for (const block of exchanged) this.#decided.set(block, fromStep);
    this.#step = fromStep;
  }

  /** Whether everything that the primary had has come. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  get step(): number {
    return this.#step;
  }

  /** The verdict on the last step that had one. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** The open step, and which blocks have its update already. */
  get opening(): Opening {
    const ahead = [...this.#decided].filter(([, decided]) => decided > this.#step);
    return { step: this.#step, applied: new Set(ahead.map(([block]) => block)) };
  }

  /**
   * A primary begins anew, with a copy of all that it has and that is another here. What is here stays good meanwhile, since
   * nobody has been told of anything that is not here: each block goes over to what the primary has as a whole.
   */
  begin(): void {
    this.#arrays = [];
    this.#compared.clear();
    this.#isCopying = true;
  }

  /** What a block has come to, which the primary asks for. Throws Refused. */
  sumsOf(block: number): BlockSums {
    const sums = this.shard.sumsOf(block);
    if (this.#isCopying) this.#compared.add(block);
    return sums;
  }

  /** Throws Refused; then nothing has changed. */
  array(bulk: Bulk): void {
    this.#arrays.push({ ...bulk, payload: keep(bulk.payload) });
    if (this.#arrays.length < this.shard.arraysOf(bulk.block)) return;
    const arrays = this.#arrays;
    this.#arrays = [];
    this.shard.replace(arrays);
    for (const { payload } of arrays) recycle(payload);
    this.kept(bulk.block, bulk.step);
  }

  /** A block is here as the primary has it, with so many steps decided on it. */
  kept(block: number, step: number): void {
    this.#compared.delete(block);
    if (!this.#decided.has(block)) return;
    this.#decided.set(block, step);
    // The primary may lack an update that came here before another one was lost.
    this.#step = Math.min(this.#step, step);
  }

  /**
   * A contribution to a block's sum. Until the block has its update that is of no consequence.
   * Throws Refused; then nothing has changed.
   */
  part(bulk: Bulk): void {
    this.shard.addPart(bulk);
  }

  /** Throws Refused; then nothing has changed. */
  update(bulk: Bulk): void {
    // Where it does not follow on what is here the block is another, and comes as it is after this.
    if (this.#compared.has(bulk.block) && !this.#isNext(bulk)) return;
    this.shard.repeat(bulk);
    this.#decided.set(bulk.block, bulk.step + 1);
    this.#closeWhereDone();
  }

  /** Throws Refused; then nothing has changed. */
  verdict(outcome: Outcome): void {
    if (this.#isCopying) this.#step = Math.min(this.#step, outcome.step);
    else if (outcome.step !== this.#step)
      throw refuse('STEP', `expected the verdict on step ${this.#step}, got that on step ${outcome.step}`);
    this.#outcome = outcome;
    if (outcome.skipped) for (const block of this.#decided.keys()) this.#decided.set(block, outcome.step + 1);
    this.#closeWhereDone();
  }

  /** What was done of a step is taken back, and will be done again. Throws Refused; then nothing has changed. */
  withdrawn(step: number): void {
    this.shard.undo(step);
    for (const [block, decided] of this.#decided) this.#decided.set(block, Math.min(decided, step));
    this.#step = Math.min(this.#step, step);
    if (this.#outcome && this.#outcome.step >= step) this.#outcome = undefined;
  }

  /** Everything has been copied. */
  copied(step: number, outcome: Outcome | undefined): void {
    this.#step = step;
    this.#outcome = outcome;
    this.#isWhole = true;
    this.#isCopying = false;
    this.#closeWhereDone();
  }

  #isNext({ block, version }: Bulk): boolean {
    return this.shard.isInitialized(block) && this.shard.stateOf(block).version === version;
  }

  #closeWhereDone(): void {
    if (!this.#isWhole || this.#outcome?.step !== this.#step) return;
    for (const decided of this.#decided.values()) if (decided <= this.#step) return;
    this.#step++;
  }
}
