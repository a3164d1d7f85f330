// Original file: proto/gradloom/v1/model.proto

import type { TensorKind as _gradloom_v1_TensorKind, TensorKind__Output as _gradloom_v1_TensorKind__Output } from '../../gradloom/v1/TensorKind.js';

/**
 * A named parameter of the model. Elements are fp32 on the servers whatever travels on the wire.
 */
export interface Tensor {
  'name'?: (string);
  'shape'?: (number)[];
  'kind'?: (_gradloom_v1_TensorKind);
}

/**
 * A named parameter of the model. Elements are fp32 on the servers whatever travels on the wire.
 */
export interface Tensor__Output {
  'name': (string);
  'shape': (number)[];
  'kind': (_gradloom_v1_TensorKind__Output);
}
