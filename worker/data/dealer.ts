// Who trains on which records: a pure function of (seed, epoch, step, view), the same in every process.
// The records of an epoch are a keyed permutation; the global batch of step s is its slice [s·B, (s+1)·B),
// and that slice is divided over the workers of the view in the order of their ranks. So the set of records
// of a step depends on nothing but the seed, the epoch and the step: not on how many workers there are.
import { keyedRandom } from '../../shared/random.js';

/** The number of steps of an epoch, fixed when it starts: the records of an incomplete last batch sit it out. */
export function stepsPerEpoch(records: number, globalBatch: number): number {
  return Math.floor(records / globalBatch);
}

/** The order in which an epoch visits its records (Fisher–Yates, drawn from the key (seed, 'deal', epoch)). */
export function epochOrder(records: number, seed: number, epoch: number): Uint32Array {
  const order = new Uint32Array(records);
  for (let i = 0; i < records; i++) order[i] = i;
  const random = keyedRandom(seed, 'deal', epoch);
  for (let i = records - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
  return order;
}

/**
 * Divides `total` records over workers in proportion to their weights: each gets its exact part rounded down,
 * and what is left goes one by one to the largest remainders, on a tie to the lowest rank (Hamilton's method).
 * With equal weights the parts differ by at most one.
 * @param weights one for each worker in rank order, at least 0, with a positive sum
 * @throws RangeError when there are no workers or a weight is not as said
 */
export function shares(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (!(sum > 0 && Number.isFinite(sum)) || weights.some((weight) => !(weight >= 0))) {
    throw new RangeError(`weights must be numbers of at least 0 with a positive sum, not [${weights}]`);
  }
  const exact = weights.map((weight) => (total * weight) / sum);
  const parts = exact.map(Math.floor);
  let left = total - parts.reduce((a, b) => a + b, 0);
  const byRemainder = weights
    .map((_, rank) => rank)
    .sort((a, b) => exact[b] - parts[b] - (exact[a] - parts[a]) || a - b);
  for (let turn = 0; left > 0; turn++) {
    const rank = byRemainder[turn % byRemainder.length];
    if (weights[rank] === 0) continue;
    parts[rank]++;
    left--;
  }
  return parts;
}

/** The half-open range of `total` places that belongs to one rank. */
export function shareOf(total: number, weights: readonly number[], rank: number): [number, number] {
  const parts = shares(total, weights);
  if (!(rank in parts)) throw new RangeError(`rank must be in [0, ${weights.length}), not ${rank}`);
  const start = parts.slice(0, rank).reduce((a, b) => a + b, 0);
  return [start, start + parts[rank]];
}

/** What of a view the dealer needs: how the workers, in rank order, share a batch. */
export interface DealingView {
  /** One weight for each worker, in rank order; equal ones for workers that are alike. */
  weights: readonly number[];
  /** Workers that have left, in that order. */
  departed?: readonly Departed[];
}

/** A worker that has left; steps are those of the run, from 0. */
export interface Departed {
  rank: number;
  /** Its shares from this step on are left to the others, */
  lostFrom: number;
  /** who share all records from this step on. */
  lostTo: number;
}

/** Steps of an epoch under one set of workers. */
interface Part {
  /** First step, within the epoch. */
  readonly from: number;
  readonly records: Uint32Array;
  /** Where each step's records begin, and at last where they end. */
  readonly bounds: readonly number[];
  readonly weights: readonly number[];
}

/** A step takes no more than so many times the global batch, however much is left to it. */
const STEP_BATCHES_MAX = 2;

function partOf(
  from: number,
  records: Uint32Array,
  sizes: readonly number[],
  weights: readonly number[],
): Part {
  const bounds = [0];
  for (const size of sizes) bounds.push(bounds[bounds.length - 1] + size);
  return { from, records, bounds, weights };
}

/** The records of a step, and of one worker in it. */
function recordsAt(parts: readonly Part[], step: number, rank?: number): Uint32Array {
  const part = parts.findLast(({ from }) => from <= step) as Part;
  const at = step - part.from;
  const all = part.records.subarray(part.bounds[at], part.bounds[at + 1]);
  return rank === undefined ? all : all.subarray(...shareOf(all.length, part.weights, rank));
}

/**
 * How an epoch is dealt: as it began, and after each leaving what was not trained, evenly over the steps that are left:
 * so each record is trained once, as long as there is a step left for it.
 * @param first step of the run with which the epoch begins
 */
function partsOf(order: Uint32Array, steps: number, batch: number, first: number, view: DealingView): Part[] {
  const whole = order.subarray(0, steps * batch);
  const parts = [partOf(0, whole, new Array<number>(steps).fill(batch), view.weights)];
  for (const { rank, lostFrom, lostTo } of view.departed ?? []) {
    const last = parts[parts.length - 1];
    const weights = last.weights.map((weight, each) => (each === rank ? 0 : weight));
    const from = Math.max(0, lostTo - first);
    if (from >= steps) break;
    const lost = Array.from({ length: from }, (_, step) => step)
      .filter((step) => step >= lostFrom - first)
      .map((step) => recordsAt(parts, step, rank));
    const rest = last.records.subarray(last.bounds[Math.max(0, from - last.from)]);
    const records = Uint32Array.from([...rest, ...lost.flatMap((each) => [...each])]);
    const sizes = shares(records.length, new Array<number>(steps - from).fill(1));
    const most = sizes.map((size) => Math.min(size, STEP_BATCHES_MAX * batch));
    parts.push(partOf(from, records, most, weights));
  }
  return parts;
}

/** Equal weights for `workers` workers. */
export function equalShares(workers: number): DealingView {
  return { weights: new Array<number>(workers).fill(1) };
}

export interface Dealer {
  readonly stepsPerEpoch: number;
  /** The records of the whole mesh in one step; a view of the epoch's order, not to be written to. */
  globalBatch(epoch: number, step: number): Uint32Array;
  /** The records of one worker in one step; a view of the epoch's order, not to be written to. */
  batch(epoch: number, step: number, view: DealingView, rank: number): Uint32Array;
}

/**
 * A dealer over `records` training records. It remembers the order of the last two epochs, since a prefetch
 * across the end of an epoch asks for both; that changes no answer.
 * @throws RangeError for a step that the epoch does not have
 */
export function createDealer(records: number, globalBatch: number, seed: number): Dealer {
  const steps = stepsPerEpoch(records, globalBatch);
  const remembered = new Map<number, Uint32Array>();
  const orderOf = (epoch: number): Uint32Array => {
    const known = remembered.get(epoch);
    if (known) return known;
    const order = epochOrder(records, seed, epoch);
    for (const old of remembered.keys()) {
      if (remembered.size < 2) break;
      remembered.delete(old);
    }
    remembered.set(epoch, order);
    return order;
  };
  const slice = (epoch: number, step: number): Uint32Array => {
    if (!(Number.isInteger(step) && step >= 0 && step < steps)) {
      throw new RangeError(`step must be in [0, ${steps}), not ${step}`);
    }
    return orderOf(epoch).subarray(step * globalBatch, (step + 1) * globalBatch);
  };
  let plan: { key: string; parts: Part[] } | undefined;
  const planOf = (epoch: number, view: DealingView): Part[] => {
    const key = JSON.stringify([epoch, view]);
    if (plan?.key !== key)
      plan = { key, parts: partsOf(orderOf(epoch), steps, globalBatch, (epoch - 1) * steps, view) };
    return plan.parts;
  };
  return {
    stepsPerEpoch: steps,
    globalBatch: slice,
    batch(epoch, step, view, rank) {
      slice(epoch, step);
      return recordsAt(planOf(epoch, view), step, rank);
    },
  };
}

/** The test records that one worker evaluates: with all ranks together every record once, in order. */
export function evaluationShare(records: number, view: DealingView, rank: number): Uint32Array {
  const [start, end] = shareOf(records, view.weights, rank);
  return Uint32Array.from({ length: end - start }, (_, i) => start + i);
}
