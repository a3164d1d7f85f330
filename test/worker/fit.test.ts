// fit() on a real server against the same training by tf.js itself: the same batches, tf.js's own optimizer.
import * as tf from '@tensorflow/tfjs-core';
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import test from 'ava';
import { UserError } from '../../shared/errors.js';
import { keyedRandom } from '../../shared/random.js';
import { chooseBackend } from '../../worker/backend/ladder.js';
import { createDealer, equalShares } from '../../worker/data/dealer.js';
import { fit as fitOnMesh } from '../../worker/fit.js';
import { withKeyedWeights } from '../../worker/model/keyed-math-random.js';
import { startTestServer } from '../helpers/server.js';

const RECORDS = 48;
const BATCH = 16;
const EPOCHS = 3;
const SEED = 5;

test.before(async () => {
  await chooseBackend('wasm');
});

function data(): { xs: tf.Tensor; ys: tf.Tensor } {
  const random = keyedRandom(SEED, 'records');
  const xs = tf.tensor2d(
    Float32Array.from({ length: RECORDS * 6 }, () => random.normal()),
    [RECORDS, 6],
  );
  const ys = tf.tidy(() => tf.oneHot(tf.argMax(tf.slice(xs, [0, 0], [RECORDS, 3]), 1), 3));
  return { xs, ys };
}

/** With BatchNorm (state), a frozen layer and one that is used twice. */
function model(name: string): LayersModel {
  return withKeyedWeights(SEED, () => {
    const shared = layers.dense({ name: `${name}-shared`, units: 6, activation: 'tanh' });
    const made = sequential({
      name: 'small',
      layers: [
        layers.dense({
          name: `${name}-frozen`,
          inputShape: [6],
          units: 6,
          activation: 'relu',
          trainable: false,
        }),
        layers.batchNormalization({ name: `${name}-norm` }),
        shared,
        layers.dense({ name: `${name}-out`, units: 3, activation: 'softmax' }),
      ],
    });
    return made;
  });
}

async function values(of: LayersModel): Promise<number[][]> {
  return Promise.all(of.getWeights().map(async (weight) => [...(await weight.data())]));
}

for (const { name, make } of [
  { name: 'sgd', make: () => tf.train.sgd(0.1) },
  { name: 'momentum', make: () => tf.train.momentum(0.05, 0.9) },
  { name: 'adam', make: () => tf.train.adam(0.01) },
  { name: 'adagrad', make: () => tf.train.adagrad(0.05) },
  { name: 'rmsprop', make: () => tf.train.rmsprop(0.01, 0.8, 0.5, 1e-4) },
]) {
  test.serial(`one worker in fp32 with ${name} trains as tf.js does on the same batches`, async (t) => {
    const server = await startTestServer(t);
    const { xs, ys } = data();
    const ours = model(`${name}-mesh`);
    const theirs = model(`${name}-alone`);
    t.deepEqual(await values(ours), await values(theirs), 'the same seed gives the same initial weights');
    const frozenNow = async () => [...(await ours.getLayer(`${name}-mesh-frozen`).getWeights()[0].data())];
    const frozen = await frozenNow();
    for (const each of [ours, theirs]) each.compile({ optimizer: make(), loss: 'categoricalCrossentropy' });

    const before = tf.memory().numTensors;
    const { history, epoch } = await fitOnMesh(
      ours,
      { xs, ys },
      {
        join: server.address,
        epochs: EPOCHS,
        batchSize: BATCH,
        seed: SEED,
        codec: 'fp32',
        validationData: { xs, ys },
      },
    );
    t.is(tf.memory().numTensors, before, 'nothing is left over');
    const dealer = createDealer(RECORDS, BATCH, SEED);
    for (let index = 1; index <= EPOCHS; index++) {
      for (let step = 0; step < dealer.stepsPerEpoch; step++) {
        const indices = tf.tensor1d(Int32Array.from(dealer.batch(index, step, equalShares(1), 0)), 'int32');
        await theirs.trainOnBatch(tf.gather(xs, indices), tf.gather(ys, indices));
      }
    }
    const expected = await values(theirs);
    for (const [index, found] of (await values(ours)).entries())
      for (const [at, value] of found.entries())
        t.true(
          Math.abs(value - expected[index][at]) < 2e-4 * (1 + Math.abs(expected[index][at])),
          `weight ${index}[${at}]: ${value}, tf.js ${expected[index][at]}`,
        );
    t.deepEqual(await frozenNow(), frozen, 'the frozen layer stays');
    t.deepEqual(epoch, [0, 1, 2]);
    t.true(history.loss[2] < history.loss[0]);
    t.is(history.val_acc.length, EPOCHS);
  });
}

test.serial(
  'two workers with half a batch each come as close as rounding lets them to one with the whole',
  async (t) => {
    const keeper = await startTestServer(t);
    await startTestServer(t, { join: keeper.address });
    const { xs, ys } = data();
    const run = async (name: string, workers: number) => {
      const made = withKeyedWeights(SEED, () =>
        sequential({
          name: 'plain',
          layers: [layers.dense({ name: `${name}`, inputShape: [6], units: 3, activation: 'softmax' })],
        }),
      );
      made.compile({ optimizer: tf.train.sgd(0.1), loss: 'categoricalCrossentropy' });
      await fitOnMesh(
        made,
        { xs, ys },
        { join: keeper.address, epochs: 2, batchSize: BATCH, seed: SEED, codec: 'fp32', workers },
      );
      return values(made);
    };
    const alone = await run('dense', 1);
    // One tf.js computes for both workers here, so they take turns; the mesh does not mind.
    const names = ['dense', 'dense'];
    const both = await Promise.all(names.map((name) => run(name, 2)));
    t.deepEqual(both[0], both[1], 'both workers end with the same bits');
    for (const [index, found] of both[0].entries())
      for (const [at, value] of found.entries()) t.true(Math.abs(value - alone[index][at]) < 1e-5);
  },
);

test.serial('one worker whose differences are taken as they are trains locally as with bsp', async (t) => {
  const server = await startTestServer(t);
  const { xs, ys } = data();
  const run = async (name: string, options: object) => {
    const made = model(name);
    made.compile({ optimizer: tf.train.adam(0.01), loss: 'categoricalCrossentropy' });
    const before = tf.memory().numTensors;
    const { history } = await fitOnMesh(
      made,
      { xs, ys },
      {
        ...{ join: server.address, epochs: EPOCHS, batchSize: BATCH, seed: SEED, codec: 'fp32' as const },
        ...options,
      },
    );
    t.is(tf.memory().numTensors, before, 'nothing is left over');
    return { values: await values(made), history };
  };
  const bsp = await run('bsp', {});
  // Three steps an epoch: a round of two and one of one.
  const local = await run('local', {
    ...{ consistency: 'local', localSteps: 2, outerLearningRate: 1, outerMomentum: 0 },
  });
  for (const [index, found] of local.values.entries())
    for (const [at, value] of found.entries())
      t.true(
        Math.abs(value - bsp.values[index][at]) < 1e-4 * (1 + Math.abs(bsp.values[index][at])),
        `weight ${index}[${at}]: ${value}, bsp ${bsp.values[index][at]}`,
      );
  for (const [epoch, loss] of local.history.loss.entries())
    t.true(Math.abs(loss - bsp.history.loss[epoch]) < 1e-4, 'the loss is the mean over all samples');
});

test.serial('two workers train locally to the same bits, and learn', async (t) => {
  const keeper = await startTestServer(t);
  await startTestServer(t, { join: keeper.address });
  const { xs, ys } = data();
  const both = await Promise.all(
    [0, 1].map(async () => {
      const made = model('two');
      made.compile({ optimizer: tf.train.adam(0.01), loss: 'categoricalCrossentropy' });
      const { history } = await fitOnMesh(
        made,
        { xs, ys },
        {
          ...{ join: keeper.address, epochs: 8, batchSize: BATCH, seed: SEED, workers: 2 },
          ...{ consistency: 'local', localSteps: 3 },
        },
      );
      return { values: await values(made), history };
    }),
  );
  t.deepEqual(both[0], both[1]);
  const { loss } = both[0].history;
  t.true(loss[7] < 0.8 * loss[0], `${loss}`);
});

for (const [consistency, options, told] of [
  ['bsp', {}, 'step'],
  ['local', { consistency: 'local', localSteps: 2 }, 'local-step'],
] as const)
  test.serial(
    `under ${consistency} a batch that is not finite leaves nothing in BatchNorm's state`,
    async (t) => {
      const server = await startTestServer(t);
      const { xs, ys } = data();
      const bad = tf.tidy(() => {
        const values = xs.dataSync().slice();
        values[7] = Number.NaN;
        return tf.tensor2d(values as Float32Array, [RECORDS, 6]);
      });
      const made = model(`bad-${consistency}`);
      made.compile({ optimizer: tf.train.sgd(0.1), loss: 'categoricalCrossentropy' });
      const skipped: boolean[] = [];
      await fitOnMesh(
        made,
        { xs: bad, ys },
        {
          ...{ join: server.address, epochs: EPOCHS, batchSize: BATCH, seed: SEED, codec: 'fp32' },
          ...options,
          onEvent(event) {
            if (event.event === told) skipped.push((event as { skipped: boolean }).skipped);
          },
        },
      );
      t.is(skipped.filter(Boolean).length, EPOCHS, 'one batch of each epoch');
      t.is(skipped.length, EPOCHS * 3);
      t.true((await values(made)).flat().every(Number.isFinite));
    },
  );

for (const [what, options, message] of [
  ['local without its steps', { consistency: 'local' }, /localSteps of 1 to 2000 .* got undefined/],
  ['half a step', { consistency: 'local', localSteps: 1.5 }, /got 1.5/],
  ['local steps with bsp', { localSteps: 2 }, /consistency local alone/],
  ['an outer momentum with bsp', { consistency: 'bsp', outerMomentum: 0.9 }, /consistency local alone/],
  [
    'an outer momentum of 1',
    { consistency: 'local', localSteps: 2, outerMomentum: 1 },
    /outerMomentum from 0/,
  ],
  [
    'an outer learning rate of 0',
    { consistency: 'local', localSteps: 2, outerLearningRate: 0 },
    /outerLearningRate above 0/,
  ],
  ['a rounding with fp16', { rounding: 'stochastic' }, /rounding: expected codec int8 .* got fp16/],
  ['a rounding that does not exist', { codec: 'int8', rounding: 'up' }, /nearest, stochastic, got "up"/],
  ['half a step of warm-up', { codec: 'topk', topKWarmupSteps: 0.5 }, /topKWarmupSteps: .* got 0.5/],
  ['more than a quarter', { codec: 'topk', topKPercent: 26 }, /at most 25, got 26/],
  ['a consistency that does not exist', { consistency: 'eventual' }, /bsp, ssp, asp, local, got "eventual"/],
] as const)
  test.serial(`${what} is refused`, async (t) => {
    const { xs, ys } = data();
    const made = model('refused');
    made.compile({ optimizer: tf.train.sgd(0.1), loss: 'categoricalCrossentropy' });
    await t.throwsAsync(fitOnMesh(made, { xs, ys }, { join: '127.0.0.1:1', ...(options as object) }), {
      instanceOf: UserError,
      message,
    });
  });

test.serial(
  'a model that was not compiled, or with an optimizer that servers do not have, is refused',
  async (t) => {
    const { xs, ys } = data();
    const made = model('refused');
    await t.throwsAsync(fitOnMesh(made, { xs, ys }, { join: '127.0.0.1:1' }), {
      instanceOf: UserError,
      message: /compile/,
    });
    made.compile({ optimizer: tf.train.adadelta(0.1), loss: 'categoricalCrossentropy' });
    await t.throwsAsync(fitOnMesh(made, { xs, ys }, { join: '127.0.0.1:1' }), {
      instanceOf: UserError,
      message: /Adadelta/,
    });
  },
);

test.serial(
  'ssp: one worker ends with the bits of bsp, two end alike, and a bound alone is refused',
  async (t) => {
    const server = await startTestServer(t);
    const { xs, ys } = data();
    const run = async (options: Partial<Parameters<typeof fitOnMesh>[2]>) => {
      const made = withKeyedWeights(SEED, () =>
        sequential({
          name: 'clocked',
          layers: [
            layers.dense({ name: 'clocked-in', inputShape: [6], units: 6, activation: 'relu' }),
            layers.batchNormalization({ name: 'clocked-norm' }),
            layers.dense({ name: 'clocked-out', units: 3, activation: 'softmax' }),
          ],
        }),
      );
      made.compile({ optimizer: tf.train.adam(0.01), loss: 'categoricalCrossentropy' });
      const common = {
        join: server.address,
        epochs: EPOCHS,
        batchSize: BATCH,
        seed: SEED,
        validationData: { xs, ys },
      };
      return fitOnMesh(made, { xs, ys }, { ...common, ...options });
    };
    const ssp = { consistency: 'ssp', staleness: 0 } as const;
    const expected = await run({});
    const alone = await run(ssp);
    t.is(alone.weightsSha256, expected.weightsSha256);
    t.deepEqual(alone.history, expected.history);
    const both = await Promise.all([0, 1].map(() => run({ ...ssp, staleness: 2, workers: 2 })));
    t.is(both[0].weightsSha256, both[1].weightsSha256);
    t.deepEqual(both[0].history.val_loss, both[1].history.val_loss);
    await t.throwsAsync(run({ staleness: 2 }), {
      instanceOf: UserError,
      message: /only with ssp, got it with bsp/,
    });
  },
);
