// The SparseEmbedding layers of a model, as training sees them: which tables they need, the rows of a batch in, their
// gradients out. Ids are what a layer gets as its input; where that is not the model's own, a submodel computes them.
// Rows stand in the order of the batch, so a micro-batch is a part of them, and its gradients have a place of their
// own; only when they are pushed are gradients of the same row added.
import * as tf from '@tensorflow/tfjs-core';
import { type LayersModel, layers, type SymbolicTensor, model as tfModel } from '@tensorflow/tfjs-layers';
import type { RowGradients } from '../../shared/client/rows.js';
import type { TableOptions } from '../../shared/client/sdk-tables.js';
import { UserError } from '../../shared/errors.js';
import { sumByPosition, type UniqueIds, uniqueIds } from '../../shared/rows/unique.js';
import { readValues } from '../model/tensor-io.js';
import { SparseEmbedding } from './sparse-embedding.js';

/** Values of rows, by tables (their index) and ids that rise strictly; in the order in which they are asked for. */
export type PullRows = (wanted: readonly WantedRows[]) => Promise<Float32Array[]>;
export interface WantedRows {
  readonly table: number;
  readonly ids: Uint32Array;
}

/** Float32 has every whole number up to here. */
const FLOAT_IDS_MAX = 2 ** 24;

/** A layer, and where its part of its table's rows of the batch is. */
interface Feed {
  readonly layer: SparseEmbedding;
  /** Index of its table. */
  readonly table: number;
  /** What computes the layer's ids; undefined: they are the model's input. */
  readonly ids: LayersModel | undefined;
  /** Of the batch: index of the first row, and rows of a record. */
  first: number;
  perRecord: number;
}

/** The rows of the batch of one table: of each layer that has it, one row for each id. */
interface TableRows {
  unique: UniqueIds;
  values: Float32Array;
  gradients: Float32Array;
}

interface Container {
  readonly layers: readonly layers.Layer[];
}

/** Every SparseEmbedding that is not directly in the model, but in a layer of it. */
function hiddenIn(layer: object, visited = new Set<object>()): SparseEmbedding | undefined {
  visited.add(layer);
  for (const value of Object.values(layer))
    for (const inner of Array.isArray(value) ? value : [value]) {
      if (!(inner instanceof layers.Layer) || visited.has(inner)) continue;
      const found = inner instanceof SparseEmbedding ? inner : hiddenIn(inner, visited);
      if (found) return found;
    }
  return undefined;
}

function idsOf(model: LayersModel, layer: SparseEmbedding): LayersModel | undefined {
  const nodes = layer.inboundNodes.length;
  const { name } = layer.table;
  if (nodes !== 1)
    throw new UserError(
      `the model: expected SparseEmbedding '${name}' to be applied once, got ${nodes} times; make another with the same table`,
    );
  const input = layer.input as SymbolicTensor;
  if (model.inputs.some(({ id }) => id === input.id)) return undefined;
  const submodel = tfModel({ inputs: model.inputs, outputs: input });
  if (submodel.layers.some((each) => each instanceof SparseEmbedding))
    throw new UserError(
      `the model: expected the ids of SparseEmbedding '${name}' to come from the input, got some that depend on rows of a table`,
    );
  return submodel;
}

export class ModelRows {
  /** What the run has to know, each table once. */
  readonly tables: readonly TableOptions[];
  readonly #feeds: readonly Feed[];
  #batch: readonly TableRows[] = [];
  #records = 0;
  /** The part of the batch that the layers hold, and its weight in the batch. */
  #part = { from: 0, to: 0, weight: 1 };

  private constructor(feeds: readonly Feed[], tables: readonly TableOptions[]) {
    this.#feeds = feeds;
    this.tables = tables;
  }

  /** undefined: the model has no SparseEmbedding. Throws UserError for one that cannot be trained. */
  static of(model: LayersModel): ModelRows | undefined {
    const tables: TableOptions[] = [];
    const feeds: Feed[] = [];
    for (const layer of (model as unknown as Container).layers) {
      if (!(layer instanceof SparseEmbedding)) {
        const hidden = hiddenIn(layer);
        if (hidden)
          throw new UserError(
            `the model: expected SparseEmbedding '${hidden.table.name}' as a layer of the model itself, got it inside '${layer.name}'`,
          );
        continue;
      }
      const same = tables.findIndex(({ name }) => name === layer.table.name);
      if (same >= 0 && JSON.stringify(tables[same]) !== JSON.stringify(layer.table))
        throw new UserError(
          `the model: expected layers of the table '${layer.table.name}' to say the same of it, got ${JSON.stringify(layer.table)} beside ${JSON.stringify(tables[same])}`,
        );
      const table = same >= 0 ? same : tables.push(layer.table) - 1;
      feeds.push({ layer, table, ids: idsOf(model, layer), first: 0, perRecord: 0 });
    }
    return feeds.length === 0 ? undefined : new ModelRows(feeds, tables);
  }

  /** The rows that the layers hold: what is differentiated by beside the model's own weights. */
  get variables(): tf.Variable[] {
    return this.#feeds.map(({ layer }) => layer.rows);
  }

  /** Pulls the rows of a batch, each once, and gives them to the layers. Throws UserError for ids out of range. */
  async load(xs: tf.Tensor, pull: PullRows): Promise<void> {
    this.#records = xs.shape[0] as number;
    const ids = await Promise.all(this.#feeds.map((feed) => this.#idsOf(feed, xs)));
    const uniques = this.tables.map(({ name, rows }, table) => {
      const parts: ArrayLike<number>[] = [];
      let count = 0;
      for (const [index, feed] of this.#feeds.entries()) {
        if (feed.table !== table) continue;
        feed.first = count;
        feed.perRecord = ids[index].length / this.#records;
        parts.push(ids[index]);
        count += ids[index].length;
      }
      const batch = new Float64Array(count);
      parts.reduce((at, part) => {
        batch.set(part, at);
        return at + part.length;
      }, 0);
      return uniqueIds(batch, rows, name);
    });
    const pulled = await pull(uniques.map(({ ids }, table) => ({ table, ids })));
    this.#batch = uniques.map((unique, table) => {
      const { width } = this.tables[table];
      const count = unique.positions.length;
      const values = new Float32Array(count * width);
      for (let i = 0; i < count; i++) {
        const from = unique.positions[i] * width;
        for (let k = 0; k < width; k++) values[i * width + k] = pulled[table][from + k];
      }
      return { unique, values, gradients: new Float32Array(count * width) };
    });
    this.select(0, this.#records);
  }

  /** Gives the layers the rows of some records of the batch. */
  select(from: number, to: number): void {
    this.#part = { from, to, weight: (to - from) / this.#records };
    for (const feed of this.#feeds) feed.layer.hold(this.#partOf(feed, 'values'));
  }

  /** Takes the gradients of the rows that the layers hold: means over their records. */
  async take(grads: tf.NamedTensorMap): Promise<void> {
    const { weight } = this.#part;
    for (const feed of this.#feeds) {
      const target = this.#partOf(feed, 'gradients');
      const gradient = grads[feed.layer.rows.name];
      if (!gradient) {
        target.fill(0);
        continue;
      }
      await readValues(gradient, target);
      gradient.dispose();
      if (weight !== 1) for (let i = 0; i < target.length; i++) target[i] *= weight;
    }
  }

  /** The gradients of the batch's rows, each row once: means over the whole batch. */
  gradients(): RowGradients[] {
    return this.#batch.flatMap(({ unique, gradients }, table) =>
      unique.ids.length === 0
        ? []
        : [{ table, ids: unique.ids, gradients: sumByPosition(unique, gradients, this.tables[table].width) }],
    );
  }

  /** Lets the rows go. */
  release(): void {
    for (const { layer } of this.#feeds) layer.release();
    this.#batch = [];
  }

  #partOf({ table, first, perRecord }: Feed, which: 'values' | 'gradients'): Float32Array {
    const { width } = this.tables[table];
    const { from, to } = this.#part;
    return this.#batch[table][which].subarray(
      (first + from * perRecord) * width,
      (first + to * perRecord) * width,
    );
  }

  async #idsOf({ ids, layer }: Feed, xs: tf.Tensor): Promise<ArrayLike<number>> {
    const { name, rows } = layer.table;
    const found = ids ? tf.tidy(() => ids.apply(xs, { training: false }) as tf.Tensor) : xs;
    if (found.dtype === 'float32' && rows > FLOAT_IDS_MAX)
      throw new UserError(
        `table '${name}': expected ids of type int32 for more than ${FLOAT_IDS_MAX} rows, got float32, which has not all of them; cast the records`,
      );
    const values = await found.data();
    if (found !== xs) found.dispose();
    return values;
  }
}
