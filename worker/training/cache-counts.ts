// Records that were found in the cache and records that were prepared anew, since they were last asked for.
import type { Dataset } from '../data/dataset.js';

export function cacheCounts(dataset: Dataset): () => { hits: number; misses: number } {
  let counted = { hits: 0, misses: 0, read: 0 };
  return () => {
    const now = { hits: dataset.cache.hits, misses: dataset.cache.misses, read: dataset.recordsRead };
    const taken = {
      hits: now.hits - counted.hits + now.read - counted.read,
      misses: now.misses - counted.misses,
    };
    counted = now;
    return taken;
  };
}
