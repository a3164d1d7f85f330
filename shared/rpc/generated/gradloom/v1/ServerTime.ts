// Original file: proto/gradloom/v1/membership.proto


export interface ServerTime {
  /**
   * Its id.
   */
  'server'?: (number);
  'seconds'?: (number | string);
}

export interface ServerTime__Output {
  /**
   * Its id.
   */
  'server': (number);
  'seconds': (number);
}
