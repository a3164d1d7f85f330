// Original file: proto/gradloom/v1/model.proto

export const TensorKind = {
  TENSOR_KIND_UNSPECIFIED: 0,
  /**
   * Updated by the optimizer from gradients.
   */
  TENSOR_KIND_TRAINABLE: 1,
  /**
   * Non-trainable state such as BatchNorm's moving statistics: workers send values, servers average them.
   */
  TENSOR_KIND_STATE: 2,
  /**
   * Never changes; held, hashed and saved with the rest, not exchanged.
   */
  TENSOR_KIND_FROZEN: 3,
} as const;

export type TensorKind =
  | 'TENSOR_KIND_UNSPECIFIED'
  | 0
  /**
   * Updated by the optimizer from gradients.
   */
  | 'TENSOR_KIND_TRAINABLE'
  | 1
  /**
   * Non-trainable state such as BatchNorm's moving statistics: workers send values, servers average them.
   */
  | 'TENSOR_KIND_STATE'
  | 2
  /**
   * Never changes; held, hashed and saved with the rest, not exchanged.
   */
  | 'TENSOR_KIND_FROZEN'
  | 3

export type TensorKind__Output = typeof TensorKind[keyof typeof TensorKind]
