// Original file: proto/gradloom/v1/model.proto

export const ScheduleKind = {
  SCHEDULE_KIND_UNSPECIFIED: 0,
  SCHEDULE_KIND_CONSTANT: 1,
  /**
   * Times `decay_rate` after every `decay_steps` steps.
   */
  SCHEDULE_KIND_STEP: 2,
  /**
   * Along half a cosine to `decay_end` of the learning rate in `decay_steps` steps, and constant from there.
   */
  SCHEDULE_KIND_COSINE: 3,
  /**
   * The same along (1 - progress)^decay_power.
   */
  SCHEDULE_KIND_POLYNOMIAL: 4,
} as const;

export type ScheduleKind =
  | 'SCHEDULE_KIND_UNSPECIFIED'
  | 0
  | 'SCHEDULE_KIND_CONSTANT'
  | 1
  /**
   * Times `decay_rate` after every `decay_steps` steps.
   */
  | 'SCHEDULE_KIND_STEP'
  | 2
  /**
   * Along half a cosine to `decay_end` of the learning rate in `decay_steps` steps, and constant from there.
   */
  | 'SCHEDULE_KIND_COSINE'
  | 3
  /**
   * The same along (1 - progress)^decay_power.
   */
  | 'SCHEDULE_KIND_POLYNOMIAL'
  | 4

export type ScheduleKind__Output = typeof ScheduleKind[keyof typeof ScheduleKind]
