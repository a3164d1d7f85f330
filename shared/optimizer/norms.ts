// Norms over tensors and models that lie on several servers: each server gives float64 sums of squares by block,
// and whoever adds them does so in the canonical order of blocks, so that neither placement nor the order of
// messages shows in the bits. What follows from them is one scalar for all: the factor of clipping by global norm,
// and LAMB's trust ratio of a tensor. Pure: servers exchange the sums as messages (server/norm-streams.ts), a worker
// with a whole model of its own (`local`) has them all.
import assert from 'node:assert';
import type { Kernels } from '../kernels/kernels.js';
import type { OptimizerSpec } from './spec.js';

/** Sum of squares of one block's elements times `scale`, in float64. */
export function squaredNorm(kernels: Kernels, address: number, elements: number, scale: number): number {
  return kernels.sumOfSquares(address, elements) * scale * scale;
}

/**
 * The norm of what the blocks hold together.
 * @param squares by block index, from however many servers
 * @param blocks indices in canonical (rising) order: those of the model, or of one tensor
 */
export function norm(squares: ReadonlyMap<number, number>, blocks: readonly number[]): number {
  let sum = 0;
  for (const [at, block] of blocks.entries()) {
    assert(at === 0 || blocks[at - 1] < block, 'blocks are added in canonical order');
    const square = squares.get(block);
    assert(square !== undefined, `the sum of block ${block} is missing`);
    sum += square;
  }
  return Math.sqrt(sum);
}

/**
 * What every gradient is multiplied by so that their global norm is at most `most`: 1 where it is already.
 * Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013, section 3.2.
 */
export function clipFactor(globalNorm: number, most: number): number {
  return globalNorm > most ? most / globalNorm : 1;
}

/**
 * Size of a tensor by the size of its update; 1 where either is zero, so that a tensor of zeros can leave them.
 * You et al., "Large batch optimization for deep learning", ICLR 2020, algorithm 2 with the identity for φ.
 */
export function trustRatio(paramNorm: number, directionNorm: number): number {
  return paramNorm > 0 && directionNorm > 0 ? paramNorm / directionNorm : 1;
}

/**
 * A sum of squares that an update waits for: of the mean `gradient` (clipping by global norm), or of the values and
 * the direction of LAMB (`trust`). The second is of the clipped gradient, so they follow one another.
 */
export type NormRound = 'gradient' | 'trust';

/** Numbers that each block gives in a round: the gradient's; the values' and the direction's. */
export const NUMBERS_PER_BLOCK = { gradient: 1, trust: 2 } as const satisfies Record<NormRound, number>;

/** The rounds of sums that an optimizer waits for before it changes any value; none: each block goes its own way. */
export function normRounds({ kind, clipNorm }: OptimizerSpec): readonly NormRound[] {
  return [
    ...(clipNorm === undefined ? [] : ['gradient' as const]),
    ...(kind === 'lamb' ? ['trust' as const] : []),
  ];
}

/** The sums of one step of all trainable blocks, wherever they lie, and the scalars that follow from them. */
export class StepNorms {
  readonly #rounds: readonly NormRound[];
  /** Blocks of the model, in canonical order. */
  readonly blocks: ReadonlySet<number>;
  readonly #tensors = new Map<number, number[]>();
  readonly #clipNorm: number;
  /** By round: what the numbers of each block are, one map for each number. */
  readonly #squares: readonly Map<number, number>[][];

  /** @param blocks the trainable blocks of the whole model, in canonical order */
  constructor(
    optimizer: OptimizerSpec,
    blocks: readonly { readonly index: number; readonly tensor: number }[],
  ) {
    this.#rounds = normRounds(optimizer);
    this.#clipNorm = optimizer.clipNorm ?? Number.POSITIVE_INFINITY;
    this.blocks = new Set(blocks.map(({ index }) => index));
    for (const { index, tensor } of blocks)
      this.#tensors.set(tensor, [...(this.#tensors.get(tensor) ?? []), index]);
    this.#squares = this.#rounds.map((round) =>
      Array.from({ length: NUMBERS_PER_BLOCK[round] }, () => new Map<number, number>()),
    );
  }

  get rounds(): readonly NormRound[] {
    return this.#rounds;
  }

  has(round: number, block: number): boolean {
    return this.#squares[round][0].has(block);
  }

  /** Takes the numbers of a block; those that are there stay. */
  add(round: number, block: number, numbers: readonly number[]): void {
    if (this.has(round, block)) return;
    for (const [at, squares] of this.#squares[round].entries()) squares.set(block, numbers[at]);
  }

  /** A block's own numbers of a round. */
  numbersOf(round: number, block: number): number[] {
    return this.#squares[round].map((squares) => squares.get(block) as number);
  }

  isComplete(round: number): boolean {
    return this.#squares[round][0].size === this.blocks.size;
  }

  /** Blocks whose numbers of a round are not here. */
  missing(round: number): number[] {
    return [...this.blocks].filter((block) => !this.has(round, block));
  }

  /** What every mean gradient is multiplied by, when its round is complete; 1 where none is clipped. */
  factor(): number {
    const round = this.#rounds.indexOf('gradient');
    return round < 0 ? 1 : clipFactor(norm(this.#squares[round][0], [...this.blocks]), this.#clipNorm);
  }

  /** LAMB's trust ratio of a tensor, when its round is complete. */
  trust(tensor: number): number {
    const [params, directions] = this.#squares[this.#rounds.indexOf('trust')];
    const blocks = this.#tensors.get(tensor) ?? [];
    return trustRatio(norm(params, blocks), norm(directions, blocks));
  }

  /** Forgets a step. */
  clear(): void {
    for (const round of this.#squares) for (const squares of round) squares.clear();
  }
}
