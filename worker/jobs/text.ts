// A classifier of texts over an embedding table on the servers: words and pairs of words are hashed to rows of 2^20,
// whose mean is what a linear layer sees (Joulin et al., "Bag of tricks for efficient text classification", EACL 2017).
// Reads train.txt and test.txt in fastText's format, or generated reviews.
import { layers, sequential } from '@tensorflow/tfjs-layers';
import type { Job } from '../job.js';
import { SparseEmbedding } from '../rows/sparse-embedding.js';

const ROWS = 2 ** 20;

const job: Job = {
  name: 'text',
  epochs: 3,
  optimizer: { kind: 'adam', learningRate: 1e-2 },
  loss: 'categoricalCrossentropy',
  text: { length: 96, rows: ROWS, pairs: true },
  model: ({ shape, classes }) =>
    sequential({
      name: 'text',
      layers: [
        new SparseEmbedding({ name: 'words', table: 'words', inputShape: [...shape], rows: ROWS, width: 16 }),
        layers.globalAveragePooling1d({ name: 'mean' }),
        layers.dense({ name: 'classes', units: classes.length, activation: 'softmax' }),
      ],
    }),
};

export default job;
