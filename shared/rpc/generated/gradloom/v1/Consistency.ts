// Original file: proto/gradloom/v1/model.proto

export const Consistency = {
  CONSISTENCY_UNSPECIFIED: 0,
  /**
   * Every step waits for the contributions of all workers of the view.
   */
  CONSISTENCY_BSP: 1,
} as const;

export type Consistency =
  | 'CONSISTENCY_UNSPECIFIED'
  | 0
  /**
   * Every step waits for the contributions of all workers of the view.
   */
  | 'CONSISTENCY_BSP'
  | 1

export type Consistency__Output = typeof Consistency[keyof typeof Consistency]
