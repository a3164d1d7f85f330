// Original file: proto/gradloom/v1/model.proto

import type { Manifest as _gradloom_v1_Manifest, Manifest__Output as _gradloom_v1_Manifest__Output } from '../../gradloom/v1/Manifest.js';
import type { Optimizer as _gradloom_v1_Optimizer, Optimizer__Output as _gradloom_v1_Optimizer__Output } from '../../gradloom/v1/Optimizer.js';
import type { Consistency as _gradloom_v1_Consistency, Consistency__Output as _gradloom_v1_Consistency__Output } from '../../gradloom/v1/Consistency.js';
import type { Codec as _gradloom_v1_Codec, Codec__Output as _gradloom_v1_Codec__Output } from '../../gradloom/v1/Codec.js';
import type { RowTable as _gradloom_v1_RowTable, RowTable__Output as _gradloom_v1_RowTable__Output } from '../../gradloom/v1/RowTable.js';
import type { Snapshots as _gradloom_v1_Snapshots, Snapshots__Output as _gradloom_v1_Snapshots__Output } from '../../gradloom/v1/Snapshots.js';
import type { Resume as _gradloom_v1_Resume, Resume__Output as _gradloom_v1_Resume__Output } from '../../gradloom/v1/Resume.js';
import type { Long } from '@grpc/proto-loader';

/**
 * Everything about a run that all its nodes must agree on.
 */
export interface RunSpec {
  'job'?: (string);
  'manifest'?: (_gradloom_v1_Manifest | null);
  'optimizer'?: (_gradloom_v1_Optimizer | null);
  'consistency'?: (_gradloom_v1_Consistency);
  'codec'?: (_gradloom_v1_Codec);
  /**
   * Workers that the run waits for before it starts.
   */
  'workers'?: (number);
  /**
   * Samples of one step, over all workers.
   */
  'globalBatch'?: (number);
  'epochs'?: (number);
  'stepsPerEpoch'?: (number);
  'seed'?: (number | string | Long);
  /**
   * Identity of the data set; workers with different data refuse each other.
   */
  'dataFingerprint'?: (string);
  /**
   * CONSISTENCY_SSP: steps that a worker's reads may lack of any other worker's updates.
   */
  'staleness'?: (number);
  /**
   * CONSISTENCY_LOCAL: steps of a round; one ends at the end of an epoch, too.
   */
  'localSteps'?: (number);
  /**
   * CONSISTENCY_LOCAL: what each worker runs on its own parameters; `optimizer` then takes the differences.
   */
  'innerOptimizer'?: (_gradloom_v1_Optimizer | null);
  /**
   * CONSISTENCY_BSP: a step goes on without so many of the workers, the last ones; below `workers`. Not with codecs that
   * send differences, nor with tables.
   */
  'backupWorkers'?: (number);
  /**
   * CODEC_TOPK: percentage of a block's elements that travel, above 0, at most 25.
   */
  'topKPercent'?: (number | string);
  /**
   * CODEC_INT8: contributions are rounded up or down by chance, so that their mean is right, not to nearest.
   */
  'stochasticRounding'?: (boolean);
  /**
   * Largest magnitude of an element of a contribution to a trainable block, its loss scale taken out; what is above it
   * is refused. 0: none.
   */
  'gradientLimit'?: (number | string);
  /**
   * CODEC_TOPK: steps in which the percentage falls from 25 to its own: halved in each of equally many steps, by the
   * number of halvings that it takes to get there. 0: none.
   */
  'topKWarmupSteps'?: (number);
  /**
   * Embedding tables, which are pushed and pulled by row. CONSISTENCY_BSP alone.
   */
  'tables'?: (_gradloom_v1_RowTable)[];
  /**
   * When snapshots of the run are taken; none: never. CONSISTENCY_BSP without tables alone.
   */
  'snapshots'?: (_gradloom_v1_Snapshots | null);
  /**
   * The snapshot that the run goes on from; none: it begins with the values of worker 0.
   */
  'resume'?: (_gradloom_v1_Resume | null);
  /**
   * A worker that leaves does not end the run: servers can go back to before the step under way.
   */
  'elastic'?: (boolean);
  /**
   * With `elastic`: steps in a row that a worker may spoil (gradients not finite, or above gradient_limit) before it
   * is put out; 0: as many as it likes.
   */
  'refusalsLimit'?: (number);
  /**
   * Servers that hold each shard; 0: two where the mesh has as many and the run can be replicated.
   */
  'replicas'?: (number);
}

/**
 * Everything about a run that all its nodes must agree on.
 */
export interface RunSpec__Output {
  'job': (string);
  'manifest': (_gradloom_v1_Manifest__Output | null);
  'optimizer': (_gradloom_v1_Optimizer__Output | null);
  'consistency': (_gradloom_v1_Consistency__Output);
  'codec': (_gradloom_v1_Codec__Output);
  /**
   * Workers that the run waits for before it starts.
   */
  'workers': (number);
  /**
   * Samples of one step, over all workers.
   */
  'globalBatch': (number);
  'epochs': (number);
  'stepsPerEpoch': (number);
  'seed': (number);
  /**
   * Identity of the data set; workers with different data refuse each other.
   */
  'dataFingerprint': (string);
  /**
   * CONSISTENCY_SSP: steps that a worker's reads may lack of any other worker's updates.
   */
  'staleness': (number);
  /**
   * CONSISTENCY_LOCAL: steps of a round; one ends at the end of an epoch, too.
   */
  'localSteps': (number);
  /**
   * CONSISTENCY_LOCAL: what each worker runs on its own parameters; `optimizer` then takes the differences.
   */
  'innerOptimizer': (_gradloom_v1_Optimizer__Output | null);
  /**
   * CONSISTENCY_BSP: a step goes on without so many of the workers, the last ones; below `workers`. Not with codecs that
   * send differences, nor with tables.
   */
  'backupWorkers': (number);
  /**
   * CODEC_TOPK: percentage of a block's elements that travel, above 0, at most 25.
   */
  'topKPercent': (number);
  /**
   * CODEC_INT8: contributions are rounded up or down by chance, so that their mean is right, not to nearest.
   */
  'stochasticRounding': (boolean);
  /**
   * Largest magnitude of an element of a contribution to a trainable block, its loss scale taken out; what is above it
   * is refused. 0: none.
   */
  'gradientLimit': (number);
  /**
   * CODEC_TOPK: steps in which the percentage falls from 25 to its own: halved in each of equally many steps, by the
   * number of halvings that it takes to get there. 0: none.
   */
  'topKWarmupSteps': (number);
  /**
   * Embedding tables, which are pushed and pulled by row. CONSISTENCY_BSP alone.
   */
  'tables': (_gradloom_v1_RowTable__Output)[];
  /**
   * When snapshots of the run are taken; none: never. CONSISTENCY_BSP without tables alone.
   */
  'snapshots': (_gradloom_v1_Snapshots__Output | null);
  /**
   * The snapshot that the run goes on from; none: it begins with the values of worker 0.
   */
  'resume': (_gradloom_v1_Resume__Output | null);
  /**
   * A worker that leaves does not end the run: servers can go back to before the step under way.
   */
  'elastic': (boolean);
  /**
   * With `elastic`: steps in a row that a worker may spoil (gradients not finite, or above gradient_limit) before it
   * is put out; 0: as many as it likes.
   */
  'refusalsLimit': (number);
  /**
   * Servers that hold each shard; 0: two where the mesh has as many and the run can be replicated.
   */
  'replicas': (number);
}
