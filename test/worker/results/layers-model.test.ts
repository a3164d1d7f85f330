// The saved LayersModel is the model: the same predictions after loading, and nothing half done on the disk.
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import { model as createModel, input, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import test from 'ava';
import { RunError, UserError } from '../../../shared/errors.js';
import { keyedRandom } from '../../../shared/random.js';
import { loadLayersModel, saveLayersModel } from '../../../worker/results/layers-model.js';
import { temporaryFolder } from '../../helpers/folder.js';

/** Convolution, batch normalisation (weights that are not trained) and a frozen layer. */
function small(): LayersModel {
  const net = sequential();
  net.add(layers.conv2d({ inputShape: [6, 6, 2], filters: 3, kernelSize: 3, activation: 'relu' }));
  net.add(layers.batchNormalization());
  net.add(layers.flatten());
  net.add(layers.dense({ units: 5, activation: 'relu', trainable: false }));
  net.add(layers.dense({ units: 3, activation: 'softmax' }));
  const random = keyedRandom(1, 'weights');
  net.setWeights(
    net.getWeights().map(({ shape, size }) =>
      tensor(
        Float32Array.from({ length: size }, () => 0.1 + random.float()),
        shape,
      ),
    ),
  );
  return net;
}

async function predict(net: LayersModel): Promise<Float32Array> {
  const random = keyedRandom(1, 'inputs');
  const inputs = tensor(
    Float32Array.from({ length: 4 * 72 }, () => random.normal()),
    [4, 6, 6, 2],
  );
  return (await (net.predict(inputs) as Tensor).data()) as Float32Array;
}

test('a model predicts the same before and after, to the bit', async (t) => {
  const folder = join(await temporaryFolder(t), 'model');
  const before = small();
  await saveLayersModel(before, folder);
  t.deepEqual((await readdir(folder)).sort(), ['model.json', 'weights.bin']);
  const after = await loadLayersModel(folder);
  t.deepEqual(await predict(after), await predict(before));
  t.deepEqual(
    after.getWeights().map((weight) => weight.dataSync()),
    before.getWeights().map((weight) => weight.dataSync()),
  );
  t.is(after.trainableWeights.length, before.trainableWeights.length);
});

test('a graph with a shared layer and two inputs keeps its shape', async (t) => {
  const folder = join(await temporaryFolder(t), 'model');
  const left = input({ shape: [4] });
  const right = input({ shape: [4] });
  const shared = layers.dense({ units: 3 });
  const sum = layers.add().apply([shared.apply(left), shared.apply(right)] as never);
  const before = createModel({ inputs: [left, right], outputs: sum as never });
  await saveLayersModel(before, folder);
  const after = await loadLayersModel(folder);
  t.is(after.countParams(), 15);
  const inputs = [tensor([[1, 2, 3, 4]]), tensor([[4, 3, 2, 1]])];
  t.deepEqual((after.predict(inputs) as Tensor).dataSync(), (before.predict(inputs) as Tensor).dataSync());
});

test('the files are the format of TensorFlow.js: a manifest whose sizes add up to the weights', async (t) => {
  const folder = join(await temporaryFolder(t), 'model');
  await saveLayersModel(small(), folder);
  const json = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8'));
  t.is(json.format, 'layers-model');
  t.is(json.weightsManifest.length, 1);
  t.deepEqual(json.weightsManifest[0].paths, ['weights.bin']);
  t.false('weightData' in json);
  const elements = json.weightsManifest[0].weights.reduce(
    (sum: number, { shape }: { shape: number[] }) => sum + shape.reduce((a, b) => a * b, 1),
    0,
  );
  t.is((await readFile(join(folder, 'weights.bin'))).length, 4 * elements);
});

test('saving again replaces the folder and leaves nothing beside it', async (t) => {
  const parent = await temporaryFolder(t);
  const folder = join(parent, 'model');
  await mkdir(folder);
  await writeFile(join(folder, 'old'), '');
  await saveLayersModel(small(), folder);
  await saveLayersModel(small(), `${folder}/`);
  t.deepEqual(await readdir(parent), ['model']);
  t.deepEqual((await readdir(folder)).sort(), ['model.json', 'weights.bin']);
});

test('a place that cannot be written is named, and nothing is left there', async (t) => {
  const parent = await temporaryFolder(t);
  await t.throwsAsync(saveLayersModel(small(), join(parent, 'none', 'model')), {
    instanceOf: RunError,
    message: /Cannot save the model in .*none\/model: it or its folder does not exist/,
  });
  t.deepEqual(await readdir(parent), []);
});

const damages: [string, (folder: string) => Promise<void>, RegExp][] = [
  [
    'no model.json',
    (folder) => rm(join(folder, 'model.json')),
    /Cannot read .*model\.json: it or its folder does not exist/,
  ],
  ['no weights', (folder) => rm(join(folder, 'weights.bin')), /Cannot read .*weights\.bin: it or its folder/],
  [
    'cut weights',
    (folder) => truncate(join(folder, 'weights.bin'), 100),
    /The weights in .* have 100 bytes, but model\.json describes \d+/,
  ],
  [
    'a broken model.json',
    (folder) => truncate(join(folder, 'model.json'), 100),
    /model\.json is not valid JSON/,
  ],
  [
    'another JSON',
    (folder) => writeFile(join(folder, 'model.json'), '[]'),
    /expected modelTopology and weightsManifest/,
  ],
  [
    'a manifest of nulls',
    (folder) =>
      writeFile(
        join(folder, 'model.json'),
        '{"modelTopology":{},"weightsManifest":[{"paths":[],"weights":[null]}]}',
      ),
    /expected modelTopology and weightsManifest/,
  ],
  [
    'a layer that nobody knows',
    (folder) => edit(folder, (json) => json.replace('"class_name":"Flatten"', '"class_name":"Mystery"')),
    /TensorFlow\.js cannot make a model of .*model\.json: .*Mystery/,
  ],
  [
    'weights elsewhere',
    (folder) => edit(folder, (json) => json.replace('"weights.bin"', '"../weights.bin"')),
    /expected weights beside it, got the path "\.\.\/weights\.bin"/,
  ],
  [
    'a weight of an unknown type',
    (folder) => edit(folder, (json) => json.replace(/(?<=weightsManifest.*?"dtype":")float32/, 'float33')),
    /has a type or shape that is not known \(float33/,
  ],
];
async function edit(folder: string, change: (json: string) => string): Promise<void> {
  const path = join(folder, 'model.json');
  await writeFile(path, change(await readFile(path, 'utf8')));
}
for (const [title, damage, message] of damages) {
  test(`a folder with ${title} is refused with the file's name`, async (t) => {
    const folder = join(await temporaryFolder(t), 'model');
    await saveLayersModel(small(), folder);
    await damage(folder);
    await t.throwsAsync(loadLayersModel(folder), { instanceOf: UserError, message });
  });
}
