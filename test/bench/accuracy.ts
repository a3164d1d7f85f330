// Whether the mesh learns as well as one process does: the main job with the same data, seed (initial weights and the
// order of the records) and number of steps, once by plain TensorFlow.js (`fit`: its own optimizer and losses, by
// trainOnBatch, as model.fit does) and once by `gradloom up` (`mesh`: 2 servers, 2 workers, fp16 on the wire).
// Repeats are seeds, from 1. `difference` is mesh less fit, seed by seed.
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { memory, setBackend, train } from '@tensorflow/tfjs-core';
import { Child, explain } from '../../deploy/children.js';
import { EXIT } from '../../shared/errors.js';
import { chooseBackend } from '../../worker/backend/ladder.js';
import { openDataset } from '../../worker/data/dataset.js';
import type { Job } from '../../worker/job.js';
import { loadJob } from '../../worker/load-job.js';
import { withKeyedWeights } from '../../worker/model/keyed-math-random.js';
import { imageData } from '../../worker/training/image-data.js';
import { resultsFolder } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

export interface AccuracyBenchOptions extends BenchOptions {
  data?: string;
  cache?: string;
  /** Passes over the training set; the job's by default. */
  epochs?: number;
}

const JOB = 'cifar10';
const BATCH = 64;

const OPTIMIZERS = {
  sgd: train.sgd,
  momentum: (rate: number) => train.momentum(rate, 0.9),
  adam: (rate: number) => train.adam(rate),
};

/** Test accuracy in % after training in this process with nothing of ours but data, backend and initial weights. */
async function fitAlone(job: Job, seed: number, options: AccuracyBenchOptions): Promise<number> {
  const dataset = await openDataset({ data: options.data, cacheDir: options.cache });
  const data = imageData(dataset, BATCH, seed);
  const model = withKeyedWeights(seed, () => job.model({ shape: dataset.shape, classes: dataset.classes }));
  const { kind, learningRate } = job.optimizer;
  if (!(kind in OPTIMIZERS)) throw new Error(`plain TensorFlow.js has no ${kind} to compare with`);
  const optimizer = OPTIMIZERS[kind as keyof typeof OPTIMIZERS](learningRate);
  model.compile({ optimizer, loss: job.loss as string, metrics: ['accuracy'] });
  try {
    const steps = data.stepsPerEpoch(BATCH);
    for (let epoch = 1; epoch <= (options.epochs ?? job.epochs); epoch++) {
      for (let step = 0; step < steps; step++) {
        const { xs, ys } = await data.batch(epoch, step, 0, 1);
        await model.trainOnBatch(xs, ys);
        xs.dispose();
        ys.dispose();
      }
    }
    let right = 0;
    for await (const { xs, ys } of data.evaluation(0, 1)) {
      const records = xs.shape[0];
      const scores = model.evaluate(xs, ys, { batchSize: records }) as Exclude<
        ReturnType<typeof model.evaluate>,
        { dataId: unknown }
      >;
      right += (await scores[1].data())[0] * records;
      for (const score of scores) score.dispose();
      xs.dispose();
      ys.dispose();
    }
    return (100 * right) / dataset.splits.test;
  } finally {
    data.close?.();
    model.dispose();
    optimizer.dispose();
    await dataset.close();
  }
}

/** Test accuracy in % after training on a mesh of processes. */
async function trainMesh(seed: number, options: AccuracyBenchOptions): Promise<number> {
  const folder = resultsFolder();
  const flags = ['up', '--json', `--job=${JOB}`, `--batch=${BATCH}`, `--seed=${seed}`, `--out=${folder}`];
  flags.push(`--summary=${join(folder, 'summary.json')}`);
  if (options.data) flags.push(`--data=${options.data}`);
  if (options.cache) flags.push(`--cache=${options.cache}`);
  if (options.epochs) flags.push(`--epochs=${options.epochs}`);
  const child = new Child('gradloom up', 'deploy/gradloom.js', flags, () => undefined);
  try {
    const exit = await child.exited;
    if (exit.code !== EXIT.done) throw explain(exit);
    const summary = JSON.parse(await readFile(join(folder, 'summary.json'), 'utf8')) as { accuracy: number };
    return 100 * summary.accuracy;
  } finally {
    await child.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the bench; `small` makes no difference but to the caller's choice of data and epochs. */
export async function run(options: AccuracyBenchOptions): Promise<Result[]> {
  const job = await loadJob(JOB);
  const backend = await chooseBackend();
  await setBackend(backend.name === 'cuda' ? 'tensorflow' : backend.name);
  const series = new Series('accuracy');
  for (let seed = 1; seed <= options.repeats; seed++) {
    await options.between?.();
    const before = memory().numTensors;
    const fit = await fitAlone(job, seed, options);
    if (memory().numTensors > before)
      throw new Error(`${memory().numTensors - before} tensors were left behind`);
    const mesh = await trainMesh(seed, options);
    series.add('fit', 'accuracy', '%', fit);
    series.add('mesh', 'accuracy', '%', mesh);
    series.add('difference', 'accuracy', '%', mesh - fit);
  }
  return series.results();
}
