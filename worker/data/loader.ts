// From an open dataset to batches that a model can be trained on: pixels as numbers in [0, 1], in buffers that
// are used again. Last on the data path: dataset → loader → compute. While one batch is in use the next one is
// assembled, in a turn of the event loop of its own, so that it is there when it is asked for.
import { PREFETCH_BATCHES } from '../../shared/limits.js';
import type { Dataset } from './dataset.js';
import { type Dealer, type DealingView, evaluationShare } from './dealer.js';
import { recordBytes, type Split } from './source.js';

export interface Batch {
  /** count × (the record's shape), each value in [0, 1]. */
  x: Float32Array;
  /** The class of each record. */
  labels: Int32Array;
  count: number;
  /** Shape of `x`. */
  shape: number[];
}

/** Where a training batch stands: which worker's part of which step, under which view. */
export interface BatchPlace {
  epoch: number;
  step: number;
  view: DealingView;
  rank: number;
}

/** Every byte as a number in [0, 1]. */
const SCALED = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);

/** Room for one batch, which grows to the largest one that it has held. */
class BatchBuffer {
  #x = new Float32Array(0);
  #labels = new Int32Array(0);

  assemble(dataset: Dataset, split: Split, indices: ArrayLike<number>): Batch {
    const elements = recordBytes(dataset.format);
    const count = indices.length;
    if (this.#labels.length < count) {
      this.#x = new Float32Array(count * elements);
      this.#labels = new Int32Array(count);
    }
    const x = this.#x.subarray(0, count * elements);
    const labels = this.#labels.subarray(0, count);
    dataset.visit(split, indices, (position, label, features) => {
      labels[position] = label;
      const start = position * elements;
      for (let i = 0; i < elements; i++) x[start + i] = SCALED[features[i]];
    });
    return { x, labels, count, shape: [count, ...dataset.shape] };
  }
}

const keyOf = ({ epoch, step, view, rank }: BatchPlace): string => JSON.stringify([epoch, step, view, rank]);

interface Prefetched {
  key: string;
  buffer: BatchBuffer;
  batch: Batch | undefined;
  /** Why it could not be assembled; thrown when the batch is asked for. */
  failure: { error: unknown } | undefined;
  pending: NodeJS.Immediate | undefined;
}

export interface Loader {
  /**
   * The records that a worker trains on in one step. The arrays are in use until the next call and are
   * overwritten after it: copy what has to live longer. The step that follows under the same view is prefetched.
   */
  batch(place: BatchPlace): Batch;
  /**
   * The part of a split that one worker evaluates, in batches of at most `records`; with all ranks together
   * every record once. Each batch is in use until the next one is asked for.
   */
  evaluation(
    split: Split,
    records: number,
    view: DealingView,
    rank: number,
  ): Generator<Batch, void, undefined>;
  /** How many batches were there when they were asked for, and how many had to be assembled first. */
  readonly counts: { ready: number; late: number };
  /** Stops prefetching. */
  close(): void;
}

/** Prefetches PREFETCH_BATCHES ahead: memory is that many batches, the one in use, and one for evaluation. */
export function createLoader(dataset: Dataset, dealer: Dealer): Loader {
  const spare = Array.from({ length: PREFETCH_BATCHES + 1 }, () => new BatchBuffer());
  const evaluationBuffer = new BatchBuffer();
  const ahead: Prefetched[] = [];
  const counts = { ready: 0, late: 0 };
  let inUse: BatchBuffer | undefined;

  const assemble = (buffer: BatchBuffer, { epoch, step, view, rank }: BatchPlace): Batch =>
    buffer.assemble(dataset, 'train', dealer.batch(epoch, step, view, rank));

  const drop = (prefetched: Prefetched): void => {
    clearImmediate(prefetched.pending);
    spare.push(prefetched.buffer);
  };

  const following = ({ epoch, step, view, rank }: BatchPlace): BatchPlace =>
    step + 1 < dealer.stepsPerEpoch
      ? { epoch, step: step + 1, view, rank }
      : { epoch: epoch + 1, step: 0, view, rank };

  const prefetchAfter = (place: BatchPlace): void => {
    let next = place;
    for (let distance = 0; distance < PREFETCH_BATCHES; distance++) {
      next = following(next);
      const key = keyOf(next);
      const buffer = ahead.some((each) => each.key === key) ? undefined : spare.pop();
      if (!buffer) continue;
      const prefetched: Prefetched = {
        key,
        buffer,
        batch: undefined,
        failure: undefined,
        pending: undefined,
      };
      const wanted = next;
      prefetched.pending = setImmediate(() => {
        prefetched.pending = undefined;
        try {
          prefetched.batch = assemble(buffer, wanted);
        } catch (error) {
          prefetched.failure = { error };
        }
      });
      ahead.push(prefetched);
    }
  };

  return {
    counts,
    batch(place) {
      if (inUse) spare.push(inUse);
      const key = keyOf(place);
      let taken: Prefetched | undefined;
      while (ahead.length > 0 && !taken) {
        const first = ahead.shift() as Prefetched;
        if (first.key === key) taken = first;
        else drop(first);
      }
      clearImmediate(taken?.pending);
      const buffer = taken?.buffer ?? (spare.pop() as BatchBuffer);
      inUse = buffer;
      if (taken?.failure) throw taken.failure.error;
      counts[taken?.batch ? 'ready' : 'late']++;
      const batch = taken?.batch ?? assemble(buffer, place);
      prefetchAfter(place);
      return batch;
    },
    *evaluation(split, records, view, rank) {
      const mine = evaluationShare(dataset.splits[split], view, rank);
      for (let start = 0; start < mine.length; start += records) {
        yield evaluationBuffer.assemble(dataset, split, mine.subarray(start, start + records));
      }
    },
    close() {
      for (const prefetched of ahead.splice(0)) drop(prefetched);
    },
  };
}
