// Original file: proto/gradloom/v1/membership.proto


/**
 * The worker has done all steps before the view's, and has every block as it then stood.
 */
export interface ViewEntered {
  'number'?: (number);
}

/**
 * The worker has done all steps before the view's, and has every block as it then stood.
 */
export interface ViewEntered__Output {
  'number': (number);
}
