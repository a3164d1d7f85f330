// Original file: proto/gradloom/v1/model.proto

import type { OptimizerKind as _gradloom_v1_OptimizerKind, OptimizerKind__Output as _gradloom_v1_OptimizerKind__Output } from '../../gradloom/v1/OptimizerKind.js';

/**
 * The optimizer that the servers run on every trainable block; definitions as in TensorFlow.js.
 */
export interface Optimizer {
  'kind'?: (_gradloom_v1_OptimizerKind);
  'learningRate'?: (number | string);
  /**
   * OPTIMIZER_KIND_MOMENTUM
   */
  'momentum'?: (number | string);
  'nesterov'?: (boolean);
  /**
   * OPTIMIZER_KIND_ADAM
   */
  'beta1'?: (number | string);
  'beta2'?: (number | string);
  'epsilon'?: (number | string);
}

/**
 * The optimizer that the servers run on every trainable block; definitions as in TensorFlow.js.
 */
export interface Optimizer__Output {
  'kind': (_gradloom_v1_OptimizerKind__Output);
  'learningRate': (number);
  /**
   * OPTIMIZER_KIND_MOMENTUM
   */
  'momentum': (number);
  'nesterov': (boolean);
  /**
   * OPTIMIZER_KIND_ADAM
   */
  'beta1': (number);
  'beta2': (number);
  'epsilon': (number);
}
