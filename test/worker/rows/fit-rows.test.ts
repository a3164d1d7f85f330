// fit() of models with SparseEmbedding on real servers: beside the same model with TensorFlow.js's dense embedding,
// whose bits a table of the same initial values must follow; by micro-batches; with ids that a part of the model
// computes; and what is refused.
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import {
  input,
  type LayersModel,
  layers,
  type SymbolicTensor,
  model as tfModel,
} from '@tensorflow/tfjs-layers';
import test, { type ExecutionContext } from 'ava';
import { UserError } from '../../../shared/errors.js';
import { keyedRandom } from '../../../shared/random.js';
import { readSafetensors } from '../../../shared/safetensors.js';
import { chooseBackend } from '../../../worker/backend/ladder.js';
import { createDealer, equalShares } from '../../../worker/data/dealer.js';
import {
  type FitOptions,
  fit as fitOnMesh,
  SparseEmbedding,
  type SparseEmbeddingOptions,
} from '../../../worker/fit.js';
import { withKeyedWeights } from '../../../worker/model/keyed-math-random.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { startTestServer } from '../../helpers/server.js';

const RECORDS = 40;
const BATCH = 10;
const LENGTH = 4;
const ROWS = 300;
const WIDTH = 5;
const EPOCHS = 3;
const SEED = 3;

test.before(() => chooseBackend('wasm'));

/** Records of ids, popular ones more often; the label is whether the sum of the ids is even. */
function data(): { xs: tf.Tensor; ys: tf.Tensor } {
  const random = keyedRandom(SEED, 'records');
  const ids = Int32Array.from({ length: RECORDS * LENGTH }, () => Math.floor(ROWS * random.float() ** 3));
  const labels = Int32Array.from(
    { length: RECORDS },
    (_, record) => ids.subarray(record * LENGTH, (record + 1) * LENGTH).reduce((sum, id) => sum + id, 0) % 2,
  );
  return {
    xs: tf.tensor2d(ids, [RECORDS, LENGTH], 'int32'),
    ys: tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), 2)),
  };
}

const table: SparseEmbeddingOptions = {
  table: 'words',
  rows: ROWS,
  width: WIDTH,
  initializer: { kind: 'zeros', scale: 0 },
};

/** Gives a model with a dense embedding, its first weight, the other weights of one with a sparse one. */
function copyWeights(from: LayersModel, to: LayersModel): void {
  to.setWeights([to.getWeights()[0], ...from.getWeights()]);
}

/** A model over an embedding layer of width WIDTH; its other weights depend on the seed. */
function over(embed: (ids: SymbolicTensor) => SymbolicTensor): LayersModel {
  return withKeyedWeights(SEED, () => {
    const ids = input({ shape: [LENGTH], dtype: 'int32' });
    const flat = layers.flatten().apply(embed(ids));
    const hidden = layers
      .dense({ units: 6, activation: 'tanh', biasInitializer: 'randomNormal' })
      .apply(flat);
    const out = layers.dense({ units: 2, activation: 'softmax' }).apply(hidden) as SymbolicTensor;
    const made = tfModel({ inputs: ids, outputs: out, name: 'rows' });
    made.compile({ optimizer: tf.train.sgd(0.3), loss: 'categoricalCrossentropy' });
    return made;
  });
}

const sparse = (changes: Partial<SparseEmbeddingOptions> = {}) =>
  over((ids) => new SparseEmbedding({ ...table, ...changes }).apply(ids) as SymbolicTensor);

async function mesh(t: ExecutionContext, servers: number): Promise<string> {
  const keeper = await startTestServer(t);
  for (let index = 1; index < servers; index++) await startTestServer(t, { join: keeper.address });
  return keeper.address;
}

async function trained(
  t: ExecutionContext,
  made: LayersModel,
  changes: Partial<FitOptions> = {},
  servers = 2,
) {
  const { xs, ys } = data();
  const tablesFile = join(await temporaryFolder(t), 'tables.safetensors');
  const options: FitOptions = {
    join: await mesh(t, servers),
    epochs: EPOCHS,
    batchSize: BATCH,
    seed: SEED,
    codec: 'fp32',
    validationData: { xs, ys },
    ...changes,
  };
  const workers = Array.from({ length: options.workers ?? 1 }, (_, rank) =>
    fitOnMesh(made, { xs, ys }, { ...options, tablesFile: rank === 0 ? tablesFile : undefined }),
  );
  const [history] = await Promise.all(workers);
  const { tensors, metadata } = await readSafetensors(tablesFile);
  const floats = (name: string) => new Float32Array(tensors.get(name)?.data.slice().buffer as ArrayBuffer);
  const ids = new Uint32Array(tensors.get('words/ids')?.data.slice().buffer as ArrayBuffer);
  tf.dispose([xs, ys]);
  return { history, ids, rows: floats('words/rows'), metadata };
}

test.serial(
  'it trains as a dense embedding does, evaluates as it does, and saves the rows that were touched',
  async (t) => {
    const embedding = layers.embedding({
      inputDim: ROWS,
      outputDim: WIDTH,
      embeddingsInitializer: 'zeros',
    });
    const dense = over((all) => embedding.apply(all) as SymbolicTensor);
    const made = sparse();
    copyWeights(made, dense);
    const before = tf.memory().numTensors;
    const { history, ids, rows, metadata } = await trained(t, made);
    t.is(tf.memory().numTensors, before, 'nothing is left over');

    const { xs, ys } = data();
    const dealer = createDealer(RECORDS, BATCH, SEED);
    for (let epoch = 1; epoch <= EPOCHS; epoch++) {
      for (let step = 0; step < dealer.stepsPerEpoch; step++) {
        const records = tf.tensor1d(Int32Array.from(dealer.batch(epoch, step, equalShares(1), 0)), 'int32');
        await dense.trainOnBatch(tf.gather(xs, records), tf.gather(ys, records));
      }
      const loss = (await (dense.evaluate(xs, ys) as tf.Scalar).data())[0];
      t.true(Math.abs(history.history.val_loss[epoch - 1] - loss) < 1e-5, `epoch ${epoch}`);
    }
    const touched = [...new Set(await xs.data())].sort((a, b) => a - b);
    t.deepEqual([...ids], touched);
    const expected = await embedding.getWeights()[0].data();
    for (const [at, id] of touched.entries())
      for (let k = 0; k < WIDTH; k++)
        t.true(Math.abs(rows[at * WIDTH + k] - expected[id * WIDTH + k]) < 1e-5, `row ${id}`);
    t.like(JSON.parse(metadata.tables)[0], { name: 'words', rows: ROWS, width: WIDTH });
  },
);

test.serial('micro-batches train as one batch does, for records that do not divide evenly too', async (t) => {
  const whole = await trained(t, sparse());
  const parts = await trained(t, sparse(), { accumulate: 3 });
  t.deepEqual(parts.ids, whole.ids);
  for (const [at, value] of parts.rows.entries()) t.true(Math.abs(value - whole.rows[at]) < 1e-5);
});

test.serial('two layers of one table, one of which gets ids that a part of the model computes', async (t) => {
  const both = (of: () => layers.Layer) => (ids: SymbolicTensor) => {
    const first = of();
    const reversed = layers
      .permute({ dims: [2, 1] })
      .apply(layers.reshape({ targetShape: [2, 2] }).apply(ids));
    const again = layers.reshape({ targetShape: [LENGTH] }).apply(reversed);
    const second = first instanceof SparseEmbedding ? of() : first;
    return layers
      .add()
      .apply([first.apply(ids) as SymbolicTensor, second.apply(again) as SymbolicTensor]) as SymbolicTensor;
  };
  const shared = layers.embedding({ inputDim: ROWS, outputDim: WIDTH, embeddingsInitializer: 'zeros' });
  const dense = over(both(() => shared));
  const made = over(both(() => new SparseEmbedding(table)));
  copyWeights(made, dense);
  const { ids, rows } = await trained(t, made, { epochs: 1 });
  const { xs, ys } = data();
  const dealer = createDealer(RECORDS, BATCH, SEED);
  for (let step = 0; step < dealer.stepsPerEpoch; step++) {
    const records = tf.tensor1d(Int32Array.from(dealer.batch(1, step, equalShares(1), 0)), 'int32');
    await dense.trainOnBatch(tf.gather(xs, records), tf.gather(ys, records));
  }
  const expected = await shared.getWeights()[0].data();
  for (const [at, id] of ids.entries())
    for (let k = 0; k < WIDTH; k++)
      t.true(Math.abs(rows[at * WIDTH + k] - expected[id * WIDTH + k]) < 1e-5, `row ${id}`);
});

for (const codec of ['fp32', 'fp16', 'bf16'] as const)
  test.serial(`${codec}: one server and three give the same weights and rows, to the bit`, async (t) => {
    const initializer = { kind: 'uniform', scale: 0.1 } as const;
    const changes: Partial<FitOptions> = { codec, workers: 1 };
    const one = await trained(t, sparse({ initializer }), changes, 1);
    const three = await trained(t, sparse({ initializer }), changes, 3);
    t.deepEqual(three.rows, one.rows);
    t.is(three.history.weightsSha256, one.history.weightsSha256);
    const other = await trained(t, sparse({ initializer: { kind: 'uniform', scale: 0.2 } }), changes, 1);
    t.not(other.history.weightsSha256, one.history.weightsSha256);
  });

test("a table without an optimizer of its own has the run's, where rows have it", async (t) => {
  const { metadata } = await trained(t, sparse(), { epochs: 1 });
  t.like(JSON.parse(metadata.tables)[0].optimizer, { kind: 'sgd' });
});

const refused: [string, () => LayersModel, Partial<FitOptions>, RegExp][] = [
  ['ssp', () => sparse(), { consistency: 'ssp', staleness: 1 }, /consistency bsp with tables, got ssp/],
  [
    'local',
    () => sparse(),
    { consistency: 'local', localSteps: 2 },
    /consistency bsp with tables, got local/,
  ],
  [
    'an optimizer that rows do not have',
    () => sparse(),
    { optimizer: { kind: 'momentum', learningRate: 0.1, momentum: 0.9, nesterov: false } },
    /sgd, adagrad, adam for a table that has none of its own, got the run's momentum/,
  ],
  [
    'clipping by norm',
    () => sparse(),
    { optimizer: { kind: 'sgd', learningRate: 0.1, clipNorm: 1 } },
    /no clipping by global norm with embedding tables/,
  ],
  [
    'a lossy codec of rows',
    () => sparse({ codec: 'int8' as 'fp32' }),
    {},
    /codec of fp32, fp16, bf16, got 'int8'/,
  ],
  [
    'a layer that is applied twice',
    () => {
      const layer = new SparseEmbedding(table);
      return over(
        (ids) =>
          layers
            .add()
            .apply([
              layer.apply(ids) as SymbolicTensor,
              layer.apply(ids) as SymbolicTensor,
            ]) as SymbolicTensor,
      );
    },
    {},
    /applied once, got 2 times/,
  ],
  [
    'a layer inside another',
    () => over((ids) => sparseInside().apply(ids) as SymbolicTensor),
    {},
    /as a layer of the model itself, got it inside/,
  ],
  ['ids out of range', () => sparse({ rows: 10 }), {}, /row ids from 0 to 9, got/],
];

function sparseInside(): LayersModel {
  const ids = input({ shape: [LENGTH], dtype: 'int32' });
  return tfModel({ inputs: ids, outputs: new SparseEmbedding(table).apply(ids) as SymbolicTensor });
}

for (const [what, make, changes, message] of refused)
  test.serial(`refused: ${what}`, async (t) => {
    await t.throwsAsync(trained(t, make(), { epochs: 1, ...changes }, 1), { instanceOf: UserError, message });
  });
