// The last update of a block, where that can be taken back: its arrays are copied before it, and put back.
import type { Kernels } from '../shared/kernels/kernels.js';
import { refuse } from '../shared/rpc/refusal.js';
import type { BlockState } from './block-state.js';

/** Keeps what a block is before its update of a step, where that can be taken back. */
export function keepUndo(kernels: Kernels, state: BlockState, step: number): void {
  const { values, slots, undo } = state.memory;
  state.updateStep = step;
  if (undo.length === 0) return;
  for (const [at, array] of [values, ...slots].entries())
    kernels.copyBytes(array, 4 * state.block.elements, undo[at]);
  state.undoStep = step;
}

/**
 * Puts back what the blocks that have the update of a step were before it; returns these.
 * Throws Refused where that is not known of one, since it was copied from elsewhere; then nothing has changed.
 */
export function undo(kernels: Kernels, states: Iterable<BlockState>, step: number): number[] {
  const updated = [...states].filter((state) => state.updateStep === step);
  const lost = updated.find(({ undoStep }) => undoStep !== step);
  if (lost)
    throw refuse(
      'NOT_NOW',
      `expected block ${lost.block.index} as it was before step ${step}, which came here after it; copy it again`,
    );
  for (const state of updated) {
    const { values, slots, undo: kept } = state.memory;
    for (const [at, array] of [values, ...slots].entries())
      kernels.copyBytes(kept[at], 4 * state.block.elements, array);
    state.version--;
    state.absmax = undefined;
    state.changedAbsmax = undefined;
    state.undoStep = undefined;
    state.updateStep = undefined;
  }
  return updated.map(({ block }) => block.index);
}
