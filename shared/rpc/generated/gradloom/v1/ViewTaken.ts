// Original file: proto/gradloom/v1/membership.proto


/**
 * The server will change to this view at its step.
 */
export interface ViewTaken {
  'number'?: (number);
}

/**
 * The server will change to this view at its step.
 */
export interface ViewTaken__Output {
  'number': (number);
}
