// Norms over tensors and models that lie on several servers: each server gives float64 sums of squares by block,
// and whoever adds them does so in the canonical order of blocks, so that neither placement nor the order of
// messages shows in the bits. What follows from them is one scalar for all: the factor of clipping by global norm,
// and LAMB's trust ratio of a tensor. Pure; the exchange of the sums between servers is not there yet.
import assert from 'node:assert';
import type { Kernels } from '../shared/kernels/kernels.js';

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
