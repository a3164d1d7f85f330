// Original file: proto/gradloom/v1/model.proto

import type { OptimizerKind as _gradloom_v1_OptimizerKind, OptimizerKind__Output as _gradloom_v1_OptimizerKind__Output } from '../../gradloom/v1/OptimizerKind.js';
import type { Schedule as _gradloom_v1_Schedule, Schedule__Output as _gradloom_v1_Schedule__Output } from '../../gradloom/v1/Schedule.js';
import type { ParameterGroup as _gradloom_v1_ParameterGroup, ParameterGroup__Output as _gradloom_v1_ParameterGroup__Output } from '../../gradloom/v1/ParameterGroup.js';

/**
 * What the servers run on every trainable block; definitions as in TensorFlow.js where it has them.
 */
export interface Optimizer {
  'kind'?: (_gradloom_v1_OptimizerKind);
  'learningRate'?: (number | string);
  /**
   * OPTIMIZER_KIND_MOMENTUM, OPTIMIZER_KIND_RMSPROP
   */
  'momentum'?: (number | string);
  /**
   * OPTIMIZER_KIND_MOMENTUM
   */
  'nesterov'?: (boolean);
  /**
   * OPTIMIZER_KIND_ADAM, OPTIMIZER_KIND_ADAMW, OPTIMIZER_KIND_LION, OPTIMIZER_KIND_LAMB
   */
  'beta1'?: (number | string);
  'beta2'?: (number | string);
  /**
   * All of these but OPTIMIZER_KIND_LION, and OPTIMIZER_KIND_ADAGRAD, OPTIMIZER_KIND_RMSPROP
   */
  'epsilon'?: (number | string);
  /**
   * OPTIMIZER_KIND_ADAGRAD
   */
  'initialAccumulator'?: (number | string);
  /**
   * OPTIMIZER_KIND_RMSPROP
   */
  'decay'?: (number | string);
  'centered'?: (boolean);
  /**
   * OPTIMIZER_KIND_ADAMW, OPTIMIZER_KIND_LION, OPTIMIZER_KIND_LAMB: decoupled from the gradient, times the learning rate
   */
  'weightDecay'?: (number | string);
  /**
   * The loss gets l1 * sum |p| and l2 * sum p^2.
   */
  'l1'?: (number | string);
  'l2'?: (number | string);
  /**
   * Elements of the mean gradient are cut to +- this; 0: they are not.
   */
  'clipValue'?: (number | string);
  'schedule'?: (_gradloom_v1_Schedule | null);
  'groups'?: (_gradloom_v1_ParameterGroup)[];
  /**
   * The mean gradient of the whole model is scaled down to this norm where it is longer; 0: it is not.
   */
  'clipNorm'?: (number | string);
}

/**
 * What the servers run on every trainable block; definitions as in TensorFlow.js where it has them.
 */
export interface Optimizer__Output {
  'kind': (_gradloom_v1_OptimizerKind__Output);
  'learningRate': (number);
  /**
   * OPTIMIZER_KIND_MOMENTUM, OPTIMIZER_KIND_RMSPROP
   */
  'momentum': (number);
  /**
   * OPTIMIZER_KIND_MOMENTUM
   */
  'nesterov': (boolean);
  /**
   * OPTIMIZER_KIND_ADAM, OPTIMIZER_KIND_ADAMW, OPTIMIZER_KIND_LION, OPTIMIZER_KIND_LAMB
   */
  'beta1': (number);
  'beta2': (number);
  /**
   * All of these but OPTIMIZER_KIND_LION, and OPTIMIZER_KIND_ADAGRAD, OPTIMIZER_KIND_RMSPROP
   */
  'epsilon': (number);
  /**
   * OPTIMIZER_KIND_ADAGRAD
   */
  'initialAccumulator': (number);
  /**
   * OPTIMIZER_KIND_RMSPROP
   */
  'decay': (number);
  'centered': (boolean);
  /**
   * OPTIMIZER_KIND_ADAMW, OPTIMIZER_KIND_LION, OPTIMIZER_KIND_LAMB: decoupled from the gradient, times the learning rate
   */
  'weightDecay': (number);
  /**
   * The loss gets l1 * sum |p| and l2 * sum p^2.
   */
  'l1': (number);
  'l2': (number);
  /**
   * Elements of the mean gradient are cut to +- this; 0: they are not.
   */
  'clipValue': (number);
  'schedule': (_gradloom_v1_Schedule__Output | null);
  'groups': (_gradloom_v1_ParameterGroup__Output)[];
  /**
   * The mean gradient of the whole model is scaled down to this norm where it is longer; 0: it is not.
   */
  'clipNorm': (number);
}
