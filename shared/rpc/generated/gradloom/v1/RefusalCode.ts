// Original file: proto/gradloom/v1/model.proto

/**
 * Why something was refused. The sentence beside it says what was expected, what came and what to do.
 */
export const RefusalCode = {
  REFUSAL_CODE_UNSPECIFIED: 0,
  /**
   * The peer speaks another version of this protocol.
   */
  REFUSAL_CODE_PROTOCOL_VERSION: 1,
  /**
   * The model's tensors differ from the run's.
   */
  REFUSAL_CODE_SCHEMA: 2,
  /**
   * Options of the run differ (optimizer, batch, seed, codec, data, ...).
   */
  REFUSAL_CODE_RUN_SPEC: 3,
  /**
   * No such run here, or it has ended.
   */
  REFUSAL_CODE_UNKNOWN_RUN: 4,
  /**
   * The view is not the current one: whoever says this acts on what does not hold any more.
   */
  REFUSAL_CODE_STALE_VIEW: 5,
  /**
   * No such worker in the view.
   */
  REFUSAL_CODE_UNKNOWN_WORKER: 6,
  /**
   * No such block, or it lives on another server.
   */
  REFUSAL_CODE_UNKNOWN_BLOCK: 7,
  /**
   * A step that has not begun yet, or a header out of order.
   */
  REFUSAL_CODE_STEP: 8,
  /**
   * Payload of a wrong length, an unknown codec, a scale that is no power of two, positions beyond the block.
   */
  REFUSAL_CODE_PAYLOAD: 9,
  /**
   * The checksum does not match the payload.
   */
  REFUSAL_CODE_CHECKSUM: 10,
  /**
   * NaN or infinity in a contribution whose header called it finite.
   */
  REFUSAL_CODE_NOT_FINITE: 11,
  /**
   * A message that lacks a field or comes out of turn.
   */
  REFUSAL_CODE_MALFORMED: 12,
  /**
   * The model needs more memory than the servers have.
   */
  REFUSAL_CODE_MEMORY: 13,
  /**
   * More in flight than was granted.
   */
  REFUSAL_CODE_CREDIT: 14,
  /**
   * The run has all its workers already, or the mesh its most.
   */
  REFUSAL_CODE_FULL: 15,
  /**
   * The server is not in a state to do this (it is draining, or not the keeper).
   */
  REFUSAL_CODE_NOT_NOW: 16,
  /**
   * A codec with an optimizer or a consistency that it is not defined for.
   */
  REFUSAL_CODE_CODEC_PAIR: 20,
  /**
   * No such table, or a row id that is out of range, out of order or another server's.
   */
  REFUSAL_CODE_ROW: 21,
  /**
   * An element of a contribution above the run's gradient_limit.
   */
  REFUSAL_CODE_GRADIENT_LIMIT: 22,
} as const;

/**
 * Why something was refused. The sentence beside it says what was expected, what came and what to do.
 */
export type RefusalCode =
  | 'REFUSAL_CODE_UNSPECIFIED'
  | 0
  /**
   * The peer speaks another version of this protocol.
   */
  | 'REFUSAL_CODE_PROTOCOL_VERSION'
  | 1
  /**
   * The model's tensors differ from the run's.
   */
  | 'REFUSAL_CODE_SCHEMA'
  | 2
  /**
   * Options of the run differ (optimizer, batch, seed, codec, data, ...).
   */
  | 'REFUSAL_CODE_RUN_SPEC'
  | 3
  /**
   * No such run here, or it has ended.
   */
  | 'REFUSAL_CODE_UNKNOWN_RUN'
  | 4
  /**
   * The view is not the current one: whoever says this acts on what does not hold any more.
   */
  | 'REFUSAL_CODE_STALE_VIEW'
  | 5
  /**
   * No such worker in the view.
   */
  | 'REFUSAL_CODE_UNKNOWN_WORKER'
  | 6
  /**
   * No such block, or it lives on another server.
   */
  | 'REFUSAL_CODE_UNKNOWN_BLOCK'
  | 7
  /**
   * A step that has not begun yet, or a header out of order.
   */
  | 'REFUSAL_CODE_STEP'
  | 8
  /**
   * Payload of a wrong length, an unknown codec, a scale that is no power of two, positions beyond the block.
   */
  | 'REFUSAL_CODE_PAYLOAD'
  | 9
  /**
   * The checksum does not match the payload.
   */
  | 'REFUSAL_CODE_CHECKSUM'
  | 10
  /**
   * NaN or infinity in a contribution whose header called it finite.
   */
  | 'REFUSAL_CODE_NOT_FINITE'
  | 11
  /**
   * A message that lacks a field or comes out of turn.
   */
  | 'REFUSAL_CODE_MALFORMED'
  | 12
  /**
   * The model needs more memory than the servers have.
   */
  | 'REFUSAL_CODE_MEMORY'
  | 13
  /**
   * More in flight than was granted.
   */
  | 'REFUSAL_CODE_CREDIT'
  | 14
  /**
   * The run has all its workers already, or the mesh its most.
   */
  | 'REFUSAL_CODE_FULL'
  | 15
  /**
   * The server is not in a state to do this (it is draining, or not the keeper).
   */
  | 'REFUSAL_CODE_NOT_NOW'
  | 16
  /**
   * A codec with an optimizer or a consistency that it is not defined for.
   */
  | 'REFUSAL_CODE_CODEC_PAIR'
  | 20
  /**
   * No such table, or a row id that is out of range, out of order or another server's.
   */
  | 'REFUSAL_CODE_ROW'
  | 21
  /**
   * An element of a contribution above the run's gradient_limit.
   */
  | 'REFUSAL_CODE_GRADIENT_LIMIT'
  | 22

/**
 * Why something was refused. The sentence beside it says what was expected, what came and what to do.
 */
export type RefusalCode__Output = typeof RefusalCode[keyof typeof RefusalCode]
