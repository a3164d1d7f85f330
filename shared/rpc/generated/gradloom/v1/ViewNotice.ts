// Original file: proto/gradloom/v1/parameters.proto


/**
 * To subscribers: what follows is of this view. Where it takes a step back, blocks and outcomes of that step that came
 * before do not count.
 */
export interface ViewNotice {
  'number'?: (number);
}

/**
 * To subscribers: what follows is of this view. Where it takes a step back, blocks and outcomes of that step that came
 * before do not count.
 */
export interface ViewNotice__Output {
  'number': (number);
}
