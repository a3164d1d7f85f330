// Original file: proto/gradloom/v1/membership.proto


/**
 * A view of this number is about to be made: go no further than to the end of the step under way, and say
 * (`held`) which step is next.
 */
export interface HoldRun {
  'number'?: (number);
}

/**
 * A view of this number is about to be made: go no further than to the end of the step under way, and say
 * (`held`) which step is next.
 */
export interface HoldRun__Output {
  'number': (number);
}
