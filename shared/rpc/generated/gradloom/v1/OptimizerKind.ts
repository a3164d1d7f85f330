// Original file: proto/gradloom/v1/model.proto

export const OptimizerKind = {
  OPTIMIZER_KIND_UNSPECIFIED: 0,
  OPTIMIZER_KIND_SGD: 1,
  OPTIMIZER_KIND_MOMENTUM: 2,
  OPTIMIZER_KIND_ADAM: 3,
  OPTIMIZER_KIND_ADAGRAD: 4,
  OPTIMIZER_KIND_RMSPROP: 5,
  /**
   * Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
   */
  OPTIMIZER_KIND_ADAMW: 6,
  /**
   * Chen et al., "Symbolic discovery of optimization algorithms", 2023.
   */
  OPTIMIZER_KIND_LION: 7,
  /**
   * You et al., "Large batch optimization for deep learning", ICLR 2020.
   */
  OPTIMIZER_KIND_LAMB: 8,
} as const;

export type OptimizerKind =
  | 'OPTIMIZER_KIND_UNSPECIFIED'
  | 0
  | 'OPTIMIZER_KIND_SGD'
  | 1
  | 'OPTIMIZER_KIND_MOMENTUM'
  | 2
  | 'OPTIMIZER_KIND_ADAM'
  | 3
  | 'OPTIMIZER_KIND_ADAGRAD'
  | 4
  | 'OPTIMIZER_KIND_RMSPROP'
  | 5
  /**
   * Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
   */
  | 'OPTIMIZER_KIND_ADAMW'
  | 6
  /**
   * Chen et al., "Symbolic discovery of optimization algorithms", 2023.
   */
  | 'OPTIMIZER_KIND_LION'
  | 7
  /**
   * You et al., "Large batch optimization for deep learning", ICLR 2020.
   */
  | 'OPTIMIZER_KIND_LAMB'
  | 8

export type OptimizerKind__Output = typeof OptimizerKind[keyof typeof OptimizerKind]
