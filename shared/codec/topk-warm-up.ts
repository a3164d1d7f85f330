// Top-k's warm-up: a run begins by sending a quarter of each block, and half as much in each of equally long stages,
// until it is down to its own percentage. So the share falls exponentially while gradients are large and change fast.
// Lin et al., "Deep gradient compression", ICLR 2018, section 3.3 (theirs falls to a quarter in each of four epochs).
import { TOPK_PERCENT_DEFAULT, TOPK_PERCENT_MAX } from './topk.js';

/** What a run says of top-k. */
export interface TopKOptions {
  /** Percentage of a block's elements that travel; TOPK_PERCENT_DEFAULT where it is not given. */
  readonly topKPercent?: number;
  /** Steps until it is down to that; without them from the start. */
  readonly topKWarmupSteps?: number;
}

/**
 * Percentage of a block's elements that travel at a step of the run. It is halved exactly, not by a power or a
 * logarithm, which differ between versions of Node: all nodes must get the same count.
 */
export function topkPercentAt(
  { topKPercent = TOPK_PERCENT_DEFAULT, topKWarmupSteps = 0 }: TopKOptions,
  step: number,
): number {
  if (step >= topKWarmupSteps) return topKPercent;
  let stages = 0;
  for (let percent = TOPK_PERCENT_MAX; percent > topKPercent; percent /= 2) stages++;
  let percent = TOPK_PERCENT_MAX;
  for (let stage = Math.floor((step * stages) / topKWarmupSteps); stage > 0; stage--) percent /= 2;
  return Math.max(percent, topKPercent);
}
