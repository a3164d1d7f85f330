// Original file: proto/gradloom/v1/model.proto

export const RowInitializerKind = {
  ROW_INITIALIZER_KIND_UNSPECIFIED: 0,
  ROW_INITIALIZER_KIND_ZEROS: 1,
  /**
   * Evenly in [-scale, scale).
   */
  ROW_INITIALIZER_KIND_UNIFORM: 2,
  /**
   * Mean 0, standard deviation scale.
   */
  ROW_INITIALIZER_KIND_NORMAL: 3,
} as const;

export type RowInitializerKind =
  | 'ROW_INITIALIZER_KIND_UNSPECIFIED'
  | 0
  | 'ROW_INITIALIZER_KIND_ZEROS'
  | 1
  /**
   * Evenly in [-scale, scale).
   */
  | 'ROW_INITIALIZER_KIND_UNIFORM'
  | 2
  /**
   * Mean 0, standard deviation scale.
   */
  | 'ROW_INITIALIZER_KIND_NORMAL'
  | 3

export type RowInitializerKind__Output = typeof RowInitializerKind[keyof typeof RowInitializerKind]
