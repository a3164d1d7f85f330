// Original file: proto/gradloom/v1/model.proto

export const OptimizerKind = {
  OPTIMIZER_KIND_UNSPECIFIED: 0,
  OPTIMIZER_KIND_SGD: 1,
  OPTIMIZER_KIND_MOMENTUM: 2,
  OPTIMIZER_KIND_ADAM: 3,
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

export type OptimizerKind__Output = typeof OptimizerKind[keyof typeof OptimizerKind]
