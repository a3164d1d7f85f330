// The front door of the data path: a dataset by its path, or the embedded one, read through the cache of the host.
// A warm start finds the records in the cache and touches the source no further than to recognize it.
import { UserError } from '../../shared/errors.js';
import { CACHE_MAX_BYTES } from '../../shared/limits.js';
import { type CacheOptions, dropDataset, findDataset, makeDataset } from './cache/dataset-cache.js';
import { defaultCacheDir, HostIndex } from './cache/host-index.js';
import type { RecordStore } from './cache/record-store.js';
import { fill } from './fill.js';
import { GENERATED_SIZE, type GeneratedSize } from './generated.js';
import { fingerprintOf } from './identity.js';
import { generatedOrigin, generatedTextsOrigin, type Origin, originAt, type Progress } from './origin.js';
import { type RecordFormat, recordBytes, type Split, splitOffset } from './source.js';
import type { TextFormat } from './text-features.js';

export interface DatasetOptions {
  /** A folder or archive of CIFAR-10 batches, of images, or of texts; the embedded dataset when absent. */
  data?: string;
  /** Where the cache lies; `$XDG_CACHE_HOME/gradloom` or `~/.cache/gradloom` when absent. */
  cacheDir?: string;
  /** Disk that all cached datasets may take together. */
  cacheMaxBytes?: number;
  /** Read texts, in this way; images when absent. */
  text?: TextFormat;
  /** How much of the embedded dataset to make. */
  generated?: GeneratedSize;
  /** Records done, of all, and what is being done: `generate` or `cache`. */
  onProgress?: Progress;
  /** Told in one sentence what was repaired, removed or is being waited for. */
  onNotice?: (sentence: string) => void;
  signal?: AbortSignal;
}

export interface CacheStats {
  /** All records were in the cache when the dataset was opened. */
  warm: boolean;
  records: number;
  /** Records that this process found in the cache, or that another process put there. */
  hits: number;
  /** Records that this process had to compute. */
  misses: number;
  /** From the call to the open dataset. */
  seconds: number;
}

/** Records as they are stored, one after the other. */
export interface Records {
  /** n × (the record's shape), row by row. */
  features: Uint8Array;
  labels: Int32Array;
}

export interface Dataset {
  readonly name: string;
  readonly fingerprint: string;
  readonly classes: readonly string[];
  readonly format: Readonly<RecordFormat>;
  /** Of one record: height, width, channels; of a text: its number of ids. */
  readonly shape: readonly number[];
  readonly splits: Readonly<Record<Split, number>>;
  readonly cache: Readonly<CacheStats>;
  /** Records that were read since the dataset was opened, all of them from the cache. */
  readonly recordsRead: number;
  /** Copies records of a split. @throws RangeError for an index outside of it, RunError for a damaged record */
  read(split: Split, indices: ArrayLike<number>): Records;
  /** Shows records one by one, without a copy: `features` hold only until the next one is shown. */
  visit(
    split: Split,
    indices: ArrayLike<number>,
    show: (position: number, label: number, features: Uint8Array) => void,
  ): void;
  close(): Promise<void>;
}

function datasetOver(store: RecordStore, cache: CacheStats): Dataset {
  const { name, fingerprint, classes, format, splits } = store.meta;
  let recordsRead = 0;
  const visit: Dataset['visit'] = (split, indices, show) => {
    const offset = splitOffset(splits, split);
    for (let position = 0; position < indices.length; position++) {
      const index = indices[position];
      if (!(Number.isInteger(index) && index >= 0 && index < splits[split])) {
        throw new RangeError(`${split} has the records 0 to ${splits[split] - 1}, not ${index}`);
      }
      const { label, features } = store.read(offset + index);
      show(position, label, features);
    }
    recordsRead += indices.length;
  };
  return {
    name,
    fingerprint,
    classes,
    format,
    shape: format.shape,
    splits,
    cache,
    get recordsRead() {
      return recordsRead;
    },
    visit,
    read(split, indices) {
      const bytes = recordBytes(format);
      const features = new Uint8Array(indices.length * bytes);
      const labels = new Int32Array(indices.length);
      visit(split, indices, (position, label, record) => {
        features.set(record, position * bytes);
        labels[position] = label;
      });
      return { features, labels };
    },
    close: () => store.close(),
  };
}

async function fillCold(
  origin: Origin,
  found: RecordStore | undefined,
  index: HostIndex,
  cacheOptions: CacheOptions,
  options: DatasetOptions,
): Promise<{ store: RecordStore; misses: number }> {
  const fingerprint = fingerprintOf(origin.identity);
  let store = found;
  try {
    const source = await origin.open();
    store ??= makeDataset(index, fingerprint, source, cacheOptions);
    const onProgress = (done: number, total: number) => options.onProgress?.(done, total, 'cache');
    const { onNotice } = cacheOptions;
    const misses = await fill(source, store, { onProgress, onNotice, signal: options.signal });
    if ((await origin.identityNow()) !== origin.identity) {
      dropDataset(index, fingerprint);
      throw new UserError(
        `${options.data} changed while it was read, expected it to stay as it is: start again`,
      );
    }
    return { store, misses };
  } catch (error) {
    await store?.close();
    throw error;
  }
}

/**
 * Opens a dataset, filling the cache first where it has to.
 * @throws UserError for data that is missing, damaged or not as expected, and for a cache that can't be used;
 *   RunError for a full disk; the signal's reason when it is aborted
 */
export async function openDataset(options: DatasetOptions = {}): Promise<Dataset> {
  const startedMs = performance.now();
  const { signal } = options;
  signal?.throwIfAborted();
  const cacheOptions = {
    maxBytes: options.cacheMaxBytes ?? CACHE_MAX_BYTES,
    onNotice: options.onNotice ?? (() => undefined),
  };
  const index = new HostIndex(options.cacheDir ?? defaultCacheDir());
  try {
    const { data, text } = options;
    const origin =
      data !== undefined
        ? await originAt(data, text, index, signal)
        : text
          ? generatedTextsOrigin(text)
          : generatedOrigin(
              options.generated ?? GENERATED_SIZE,
              index,
              (...progress) => options.onProgress?.(...progress),
              signal,
            );
    const found = findDataset(index, fingerprintOf(origin.identity), cacheOptions);
    const warm = found?.isComplete() ?? false;
    const { store, misses } =
      warm && found
        ? { store: found, misses: 0 }
        : await fillCold(origin, found, index, cacheOptions, options);
    const seconds = (performance.now() - startedMs) / 1000;
    return datasetOver(store, { warm, records: store.total, hits: store.total - misses, misses, seconds });
  } finally {
    await index.close();
  }
}
