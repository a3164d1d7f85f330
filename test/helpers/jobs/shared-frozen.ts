// A model with a frozen layer, and with one layer used twice: both halves of the image go through the same weights.
import { model as createModel, input, layers, type SymbolicTensor } from '@tensorflow/tfjs-layers';
import type { Job } from '../../../worker/job.js';
import small from './small.js';

const job: Job = {
  ...small,
  name: 'shared-frozen',
  model: ({ shape, classes }) => {
    const image = input({ shape: [...shape] });
    const pooled = layers.maxPooling2d({ poolSize: 4 }).apply(image) as SymbolicTensor;
    const shared = layers.dense({ name: 'shared', units: 6, activation: 'relu' });
    const top = layers
      .cropping2D({
        cropping: [
          [0, 4],
          [0, 0],
        ],
      })
      .apply(pooled);
    const bottom = layers
      .cropping2D({
        cropping: [
          [4, 0],
          [0, 0],
        ],
      })
      .apply(pooled);
    const halves = [top, bottom].map((half) => {
      const flat = layers.flatten().apply(half as SymbolicTensor);
      return shared.apply(flat as SymbolicTensor) as SymbolicTensor;
    });
    const joined = layers.concatenate().apply(halves) as SymbolicTensor;
    const frozen = layers.dense({ name: 'frozen', units: 8, activation: 'tanh', trainable: false });
    const features = frozen.apply(joined) as SymbolicTensor;
    const output = layers.dense({ name: 'classes', units: classes.length, activation: 'softmax' });
    return createModel({ inputs: image, outputs: output.apply(features) as SymbolicTensor });
  },
};

export default job;
