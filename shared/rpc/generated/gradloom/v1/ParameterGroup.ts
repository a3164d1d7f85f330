// Original file: proto/gradloom/v1/model.proto


/**
 * Rules for the tensors whose whole name `match` matches (`*` any characters, `?` one); the first group that
 * matches holds. What is not set is the optimizer's.
 */
export interface ParameterGroup {
  'match'?: (string);
  'learningRateScale'?: (number | string);
  'weightDecay'?: (number | string);
  'l1'?: (number | string);
  'l2'?: (number | string);
  /**
   * Its tensors are of TENSOR_KIND_FROZEN in the manifest.
   */
  'frozen'?: (boolean);
  '_learningRateScale'?: "learningRateScale";
  '_weightDecay'?: "weightDecay";
  '_l1'?: "l1";
  '_l2'?: "l2";
}

/**
 * Rules for the tensors whose whole name `match` matches (`*` any characters, `?` one); the first group that
 * matches holds. What is not set is the optimizer's.
 */
export interface ParameterGroup__Output {
  'match': (string);
  'learningRateScale'?: (number);
  'weightDecay'?: (number);
  'l1'?: (number);
  'l2'?: (number);
  /**
   * Its tensors are of TENSOR_KIND_FROZEN in the manifest.
   */
  'frozen': (boolean);
  '_learningRateScale'?: "learningRateScale";
  '_weightDecay'?: "weightDecay";
  '_l1'?: "l1";
  '_l2'?: "l2";
}
