// Original file: proto/gradloom/v1/model.proto

export const Consistency = {
  CONSISTENCY_UNSPECIFIED: 0,
  /**
   * Every step waits for the contributions of all workers of the view.
   */
  CONSISTENCY_BSP: 1,
  /**
   * Each contribution is an update of its own; a worker is at most `staleness` steps ahead of the slowest.
   */
  CONSISTENCY_SSP: 2,
  /**
   * The same without a bound: nobody waits for anybody.
   */
  CONSISTENCY_ASP: 3,
} as const;

export type Consistency =
  | 'CONSISTENCY_UNSPECIFIED'
  | 0
  /**
   * Every step waits for the contributions of all workers of the view.
   */
  | 'CONSISTENCY_BSP'
  | 1
  /**
   * Each contribution is an update of its own; a worker is at most `staleness` steps ahead of the slowest.
   */
  | 'CONSISTENCY_SSP'
  | 2
  /**
   * The same without a bound: nobody waits for anybody.
   */
  | 'CONSISTENCY_ASP'
  | 3

export type Consistency__Output = typeof Consistency[keyof typeof Consistency]
