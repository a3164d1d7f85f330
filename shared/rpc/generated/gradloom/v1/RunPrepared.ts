// Original file: proto/gradloom/v1/membership.proto


export interface RunPrepared {
  /**
   * View.term of the order that is answered: where a server dies while a run is prepared, it is prepared again.
   */
  'term'?: (number);
}

export interface RunPrepared__Output {
  /**
   * View.term of the order that is answered: where a server dies while a run is prepared, it is prepared again.
   */
  'term': (number);
}
