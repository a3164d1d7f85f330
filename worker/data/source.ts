// What every source of records offers to the rest of the data path, whatever format it is stored in.
// Path: container (folder, archive) → source (cifar, images) → fill → cache → dataset → loader.
// A source numbers its records once and for all: first those of the training split, then those of the test
// split. It produces them in chunks, so that several processes can share the work of filling one cache.

/** What one record looks like; a label (int32) always comes with it. */
export interface RecordFormat {
  /** Of an image: height, width, channels; of a text: its number of ids. */
  shape: number[];
  /** How a feature is stored: a channel of a pixel, or the id of a row of an embedding table. */
  dtype: 'uint8' | 'uint32';
}

export type Split = 'train' | 'test';

/** One record on its way into the cache. */
export interface SourceRecord {
  index: number;
  label: number;
  features: Uint8Array;
}

/** What a source says of itself before a record is read. */
export interface SourceDescription {
  name: string;
  classes: string[];
  format: RecordFormat;
  splits: Record<Split, number>;
  /** Number of chunks that `produce` knows. */
  chunks: number;
}

export interface Source extends SourceDescription {
  /**
   * Reads once through the source and hands over each chunk that `wanted` claims, in any order.
   * Awaits `deliver`, so a slow cache slows the reading instead of filling memory.
   */
  produce(
    wanted: (chunk: number) => boolean,
    deliver: (chunk: number, records: SourceRecord[]) => Promise<void> | void,
    signal?: AbortSignal,
  ): Promise<void>;
}

/** Bytes of one record's features. */
export function recordBytes(format: RecordFormat): number {
  return format.shape.reduce((product, side) => product * side, format.dtype === 'uint32' ? 4 : 1);
}

/** Where a split's records begin in the numbering of the source. */
export function splitOffset(splits: Record<Split, number>, split: Split): number {
  return split === 'train' ? 0 : splits.train;
}
