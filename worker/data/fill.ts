// Brings the records of a source into the cache, together with whatever other processes are at the same work:
// each claims chunks as the source passes them, and leaves to the others what they have claimed.
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../shared/errors.js';
import { CACHE_CLAIM_LEASE_MS, CACHE_POLL_MS, CACHE_WAIT_NOTICE_MS } from '../../shared/limits.js';
import type { RecordStore } from './cache/record-store.js';
import type { Source } from './source.js';

export interface FillOptions {
  /** Records in the cache, of all. */
  onProgress: (done: number, total: number) => void;
  /** Told, in one sentence, whom this process waits for when that takes long. */
  onNotice: (sentence: string) => void;
  signal?: AbortSignal;
}

/** Waits until the chunks that others compute are done, or one of them is free to be taken. */
async function waitForOthers(store: RecordStore, options: FillOptions): Promise<void> {
  const { onProgress, onNotice, signal } = options;
  for (let waitedMs = 0; !store.isComplete(); waitedMs += CACHE_POLL_MS) {
    const others = store.processesAtWork();
    if (others === undefined) return;
    onProgress(store.recordsDone(), store.total);
    if (waitedMs === CACHE_WAIT_NOTICE_MS) {
      onNotice(
        `waiting for process ${others.join(', ')} to prepare the rest of the data; what it claimed is taken over ${CACHE_CLAIM_LEASE_MS / 1000} s after it was claimed`,
      );
    }
    signal?.throwIfAborted();
    await delay(CACHE_POLL_MS);
  }
}

/**
 * Returns when the store is complete.
 * @returns how many records this process computed
 * @throws UserError when the source is not what it was when it was opened
 */
export async function fill(source: Source, store: RecordStore, options: FillOptions): Promise<number> {
  const { onProgress, signal } = options;
  let computed = 0;
  try {
    while (!store.isComplete()) {
      signal?.throwIfAborted();
      await source.produce(
        (chunk) => store.take(chunk),
        (chunk, records) => {
          store.commit(chunk, records);
          computed += records.length;
          onProgress(store.recordsDone(), store.total);
        },
        signal,
      );
      if (store.unfinished.size > 0) {
        throw new UserError('the data changed while it was read, expected it to stay as it is: start again');
      }
      await waitForOthers(store, options);
    }
  } finally {
    store.release();
  }
  onProgress(store.total, store.total);
  return computed;
}
