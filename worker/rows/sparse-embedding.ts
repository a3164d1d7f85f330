// A tf.js layer whose table lives on the servers. Before a step the rows of its batch are pulled; the layer gives them
// back in the shape of its input, and a gradient for each of them comes out of tf.variableGrads. The worker never
// holds more than the rows of one batch, and no gather is needed: the rows come in the order of the batch, and
// gradients of the same row are added before they are pushed. In a job, or a model for `fit`, all this is done by
// model-rows.ts; a loop of one's own attaches a client, and calls `prefetch` and `gradients`.
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import type { Client, Rows } from '../../shared/client/index.js';
import type { TableOptions } from '../../shared/client/sdk-tables.js';
import { UserError } from '../../shared/errors.js';

type Shape = (number | null)[];

/** The table, under the name `table`, and what every layer takes. */
export interface SparseEmbeddingOptions extends Omit<TableOptions, 'name'> {
  table: string;
  /** Of the layer; by default one that tf.js makes up. */
  name?: string;
  /** Of the ids of one record, where the layer is a model's first. */
  inputShape?: Shape;
}

export class SparseEmbedding extends layers.Layer {
  static className = 'SparseEmbedding';
  /** What the run has to know of the table. */
  readonly table: TableOptions;
  #client: Pick<Client, 'pullRows'> | undefined;
  #ids: ArrayLike<number> = [];
  #rows: tf.Variable<tf.Rank.R2> | undefined;

  constructor(options: SparseEmbeddingOptions) {
    const { table: name, rows, width, initializer, optimizer, learningRate, codec, ...layer } = options;
    super({ dtype: 'int32', ...layer });
    this.table = { name, rows, width, initializer, optimizer, learningRate, codec };
  }

  /**
   * Says whose rows `prefetch` pulls.
   * @param client of a run that has the table
   * @throws UserError where it has none of that name and shape
   */
  attach(client: Pick<Client, 'tables' | 'pullRows'>): this {
    const { name, rows, width } = this.table;
    const found = client.tables.find((table) => table.name === name);
    if (found?.rows !== rows || found.width !== width)
      throw new UserError(
        `SparseEmbedding: expected a run with the table '${name}' of ${rows} rows × ${width}, got ${client.tables.map((table) => `'${table.name}' of ${table.rows} × ${table.width}`).join(', ') || 'one that has none'}; give connect() the layer's table`,
      );
    this.#client = client;
    return this;
  }

  /** Pulls the rows of the next batch, of any shape. Throws UserError for ids out of range. */
  async prefetch(ids: tf.Tensor | ArrayLike<number>): Promise<void> {
    if (!this.#client)
      throw new UserError(`SparseEmbedding '${this.table.name}': expected attach(client) before prefetch()`);
    const flat = ids instanceof tf.Tensor ? await ids.data() : ids;
    const { values } = await this.#client.pullRows(this.table.name, flat);
    this.#ids = flat;
    this.hold(values);
  }

  /** Takes the rows of the next batch, one for each id, in place of those that it has. */
  hold(values: Float32Array): void {
    this.release();
    const { width } = this.table;
    // A copy: some backends keep the array that they are given.
    this.#rows = tf.tidy(() => tf.variable(tf.tensor2d(values.slice(), [values.length / width, width])));
  }

  /** Lets the rows go. */
  release(): void {
    this.#rows?.dispose();
    this.#rows = undefined;
  }

  /** The rows of the batch, one for each id: what tf.variableGrads takes beside the model's own weights. */
  get rows(): tf.Variable<tf.Rank.R2> {
    if (!this.#rows)
      throw new UserError(
        `SparseEmbedding '${this.table.name}': expected the rows of a batch before the layer is used; in a loop of your own call prefetch(ids)`,
      );
    return this.#rows;
  }

  /** The gradients of the prefetched rows, as `push` takes them, out of what tf.variableGrads gave. */
  async gradients(grads: tf.NamedTensorMap): Promise<Rows> {
    const gradients = grads[this.rows.name];
    if (!gradients)
      throw new UserError(
        `SparseEmbedding '${this.table.name}': expected its rows among the variables of tf.variableGrads, got none`,
      );
    return { ids: this.#ids, gradients: (await gradients.data()) as Float32Array };
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const [first] = inputShape;
    return [...((Array.isArray(first) ? first : inputShape) as Shape), this.table.width];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const ids = Array.isArray(inputs) ? inputs[0] : inputs;
    if (ids.size !== this.rows.shape[0])
      throw new UserError(
        `SparseEmbedding '${this.table.name}': expected the ${this.rows.shape[0]} ids whose rows are there, got ${ids.size}`,
      );
    return tf.reshape(this.rows, [...ids.shape, this.table.width]);
  }

  override getConfig() {
    const { name: table, ...of } = this.table;
    const given = Object.fromEntries(
      Object.entries({ table, ...of }).filter(([, value]) => value !== undefined),
    );
    return { ...super.getConfig(), ...given } as ReturnType<layers.Layer['getConfig']>;
  }

  override dispose() {
    this.release();
    return super.dispose();
  }
}

tf.serialization.registerClass(SparseEmbedding);
