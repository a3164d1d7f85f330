// The layer on real servers: it gives the rows of its batch, its gradients are those of a dense embedding, and a model
// with it learns.
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { input, type LayersModel, layers, model } from '@tensorflow/tfjs-layers';
import test, { type ExecutionContext } from 'ava';
import { type Client, connect, UserError } from '../../../shared/client/index.js';
import { SparseEmbedding } from '../../../worker/rows/sparse-embedding.js';
import { startTestServer } from '../../helpers/server.js';

test.before(() => tf.setBackend('cpu'));

async function open(
  t: ExecutionContext,
  optimizer: 'sgd' | 'adagrad',
  learningRate: number,
): Promise<{ client: Client; layer: SparseEmbedding }> {
  const layer = new SparseEmbedding({ table: 'words', rows: 500_000, width: 3, optimizer, learningRate });
  const keeper = await startTestServer(t);
  await startTestServer(t, { join: keeper.address });
  const client = await connect({
    join: keeper.address,
    tensors: [{ name: 'kernel', shape: [6, 1], values: new Float32Array(6).fill(0.5) }],
    tables: [layer.table],
    optimizer: 'sgd',
    learningRate: 0.1,
    codec: 'fp32',
  });
  return { client, layer };
}

test.serial('its gradients are those of a dense embedding', async (t) => {
  const { client, layer } = await open(t, 'sgd', 0.5);
  await t.throwsAsync(layer.prefetch([1]), { instanceOf: UserError, message: /attach/ });
  layer.attach(client);
  t.throws(() => layer.rows, { instanceOf: UserError, message: /prefetch/ });
  const ids = [499_999, 3, 3, 70_000];
  const before = (await client.pullRows('words', [3, 70_000, 499_999])).values;
  const batch = tf.tensor2d(ids, [2, 2], 'int32');
  await layer.prefetch(batch);
  const output = layer.apply(batch) as tf.Tensor;
  t.deepEqual(output.shape, [2, 2, 3]);
  t.deepEqual([...(await output.data())].slice(0, 3), [...before.slice(6)]);
  t.throws(() => layer.apply(tf.tensor1d([1], 'int32')), { message: /expected the 4 ids whose/ });

  const factors = tf.tensor3d([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [2, 2, 3]);
  const { grads } = tf.variableGrads(
    () => tf.sum(tf.mul(layer.apply(batch) as tf.Tensor, factors)) as tf.Scalar,
    [layer.rows],
  );
  await client.wait(client.push({}, { rows: { words: await layer.gradients(grads) } }));
  const after = (await client.pullRows('words', [3, 70_000, 499_999])).values;
  // Row 3 is in the batch twice.
  const expected = [4 + 7, 5 + 8, 6 + 9, 10, 11, 12, 1, 2, 3].map((gradient, i) =>
    Math.fround(before[i] - Math.fround(0.5 * gradient)),
  );
  t.deepEqual([...after], expected);
  await t.throwsAsync(layer.prefetch([500_000]), { instanceOf: UserError, message: /0 to 499999/ });
  const other = new SparseEmbedding({ table: 'words', rows: 500_000, width: 4 });
  t.throws(() => other.attach(client), { instanceOf: UserError, message: /× 4, got 'words' of 500000 × 3/ });
  await client.close();
});

test.serial('a model with it learns', async (t) => {
  const { client, layer } = await open(t, 'adagrad', 0.3);
  layer.attach(client);
  const ids = input({ shape: [2], dtype: 'int32' });
  const flat = layers.flatten().apply(layer.apply(ids)) as ReturnType<typeof input>;
  const dense = layers.dense({ units: 1, useBias: false });
  const net: LayersModel = model({ inputs: ids, outputs: dense.apply(flat) as ReturnType<typeof input> });
  const kernel = net.trainableWeights[0].read() as tf.Variable;
  const xs = tf.tensor2d([1, 2, 3, 400_000, 1, 400_000, 3, 2], [4, 2], 'int32');
  const ys = tf.tensor2d([1, -1, 1, -1], [4, 1]);
  const losses: number[] = [];
  let { values } = await client.pull();
  for (let step = 0; step < 40; step++) {
    await layer.prefetch(xs);
    kernel.assign(tf.tensor2d(values.kernel, [6, 1]));
    const { value, grads } = tf.variableGrads(
      () => tf.losses.meanSquaredError(ys, net.apply(xs, { training: true }) as tf.Tensor) as tf.Scalar,
      [kernel, layer.rows],
    );
    const [loss] = await value.data();
    losses.push(loss);
    ({ values } = await client.pushPull(
      { kernel: (await grads[kernel.name].data()) as Float32Array },
      { samples: 4, loss, rows: { words: await layer.gradients(grads) } },
    ));
  }
  t.true(losses[0] > 0.8, `${losses[0]}`);
  t.true((losses.at(-1) as number) < 0.05, `${losses.at(-1)}`);
  await client.close();
});
