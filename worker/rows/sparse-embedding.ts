// A tf.js layer whose table lives on the servers. Before a step the rows of its batch are pulled (`prefetch`); the
// layer gives them back in the shape of its input, a gradient for each of them comes out of tf.variableGrads, and
// `gradients` turns those into what `push` takes. The worker never holds more than the rows of one batch, and no
// gather is needed: the rows come in the order of the batch, and gradients of the same row are added at the push.
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import type { Client, Rows } from '../../shared/client/index.js';
import { UserError } from '../../shared/errors.js';

type Shape = (number | null)[];

export class SparseEmbedding extends layers.Layer {
  static className = 'SparseEmbedding';
  readonly width: number;
  #ids: ArrayLike<number> = [];
  #rows: tf.Variable<tf.Rank.R2> | undefined;

  /**
   * @param client a worker of a run that has the table
   * @throws UserError where the run has no such table
   */
  constructor(
    readonly client: Pick<Client, 'tables' | 'pullRows'>,
    readonly table: string,
  ) {
    super({});
    const spec = client.tables.find(({ name }) => name === table);
    if (!spec)
      throw new UserError(
        `SparseEmbedding: expected a table of ${client.tables.map(({ name }) => `'${name}'`).join(', ') || '(the run has none)'}, got '${table}'`,
      );
    this.width = spec.width;
  }

  /** Pulls the rows of the next batch, of any shape. Throws UserError for ids out of range. */
  async prefetch(ids: tf.Tensor | ArrayLike<number>): Promise<void> {
    const flat = ids instanceof tf.Tensor ? await ids.data() : ids;
    const { values } = await this.client.pullRows(this.table, flat);
    this.#rows?.dispose();
    this.#ids = flat;
    this.#rows = tf.tidy(() => tf.variable(tf.tensor2d(values, [flat.length, this.width])));
  }

  /** The rows of the batch, one for each id: what tf.variableGrads takes beside the model's own weights. */
  get rows(): tf.Variable<tf.Rank.R2> {
    if (!this.#rows)
      throw new UserError(`SparseEmbedding '${this.table}': expected prefetch() before the layer is used`);
    return this.#rows;
  }

  /** The gradients of the batch's rows, as `push` takes them, out of what tf.variableGrads gave. */
  async gradients(grads: tf.NamedTensorMap): Promise<Rows> {
    const gradients = grads[this.rows.name];
    if (!gradients)
      throw new UserError(
        `SparseEmbedding '${this.table}': expected its rows among the variables of tf.variableGrads, got none`,
      );
    return { ids: this.#ids, gradients: (await gradients.data()) as Float32Array };
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const [first] = inputShape;
    return [...((Array.isArray(first) ? first : inputShape) as Shape), this.width];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const ids = Array.isArray(inputs) ? inputs[0] : inputs;
    if (ids.size !== this.rows.shape[0])
      throw new UserError(
        `SparseEmbedding '${this.table}': expected the ${this.rows.shape[0]} ids that were prefetched, got ${ids.size}`,
      );
    return tf.reshape(this.rows, [...ids.shape, this.width]);
  }

  override getConfig() {
    return { ...super.getConfig(), table: this.table };
  }

  override dispose() {
    this.#rows?.dispose();
    this.#rows = undefined;
    return super.dispose();
  }
}
