// Gradient accumulation on a real server: a batch in micro-batches trains as the batch in one, for samples that do
// not divide evenly too, and leaves nothing behind.
import * as tf from '@tensorflow/tfjs-core';
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import test from 'ava';
import { keyedRandom } from '../../shared/random.js';
import { chooseBackend } from '../../worker/backend/ladder.js';
import { fit as fitOnMesh, type TrainEvent } from '../../worker/fit.js';
import { withKeyedWeights } from '../../worker/model/keyed-math-random.js';
import { startTestServer } from '../helpers/server.js';

const RECORDS = 44;
const BATCH = 22;
const EPOCHS = 2;

test.before(async () => {
  await chooseBackend('wasm');
});

function data(): { xs: tf.Tensor; ys: tf.Tensor } {
  const random = keyedRandom(3, 'records');
  const xs = tf.tensor2d(
    Float32Array.from({ length: RECORDS * 6 }, () => random.normal()),
    [RECORDS, 6],
  );
  const ys = tf.tidy(() => tf.oneHot(tf.argMax(tf.slice(xs, [0, 0], [RECORDS, 3]), 1), 3));
  return { xs, ys };
}

function model(): LayersModel {
  const made = withKeyedWeights(4, () =>
    sequential({
      layers: [
        layers.dense({ inputShape: [6], units: 8, activation: 'tanh' }),
        layers.dense({ units: 3, activation: 'softmax' }),
      ],
    }),
  );
  made.compile({ optimizer: tf.train.momentum(0.1, 0.9), loss: 'categoricalCrossentropy' });
  return made;
}

test('micro-batches train as one batch does, and tell the samples and steps that there were', async (t) => {
  const server = await startTestServer(t);
  const { xs, ys } = data();
  const trained = async (accumulate: number) => {
    const own = model();
    const events: TrainEvent[] = [];
    const before = tf.memory().numTensors;
    const { history } = await fitOnMesh(
      own,
      { xs, ys },
      {
        join: server.address,
        epochs: EPOCHS,
        batchSize: BATCH,
        codec: 'fp32',
        accumulate,
        onEvent: (event) => void events.push(event),
      },
    );
    t.is(tf.memory().numTensors, before, 'nothing is left over');
    const steps = events.flatMap((event) => (event.event === 'step' ? [event.samples] : []));
    const weights = await Promise.all(own.getWeights().map(async (weight) => [...(await weight.data())]));
    return { history, steps, weights: weights.flat(), start: events.find(({ event }) => event === 'start') };
  };
  const whole = await trained(1);
  t.like(whole.start as object, { accumulate: 1 });
  // Twenty-two samples in micro-batches of 6, 6, 5, 5; and of one each, since there are no more.
  for (const accumulate of [4, 100]) {
    const micro = await trained(accumulate);
    t.like(micro.start as object, { accumulate });
    t.deepEqual(micro.steps, [BATCH, BATCH, BATCH, BATCH]);
    t.deepEqual(whole.steps, micro.steps);
    for (const [i, value] of micro.weights.entries())
      t.true(Math.abs(value - whole.weights[i]) < 1e-5, `weight ${i}: ${value}, ${whole.weights[i]}`);
    for (const [name, values] of Object.entries(micro.history))
      for (const [epoch, value] of values.entries())
        t.true(Math.abs(value - whole.history[name][epoch]) < 1e-5, `${name} of epoch ${epoch}`);
  }
});

test('fewer than one micro-batch is refused', async (t) => {
  const { xs, ys } = data();
  for (const accumulate of [0, 1.5, Number.NaN])
    await t.throwsAsync(fitOnMesh(model(), { xs, ys }, { join: '127.0.0.1:1', accumulate }), {
      message: /expected to accumulate 1 to \d+ micro-batches, got/,
    });
});
