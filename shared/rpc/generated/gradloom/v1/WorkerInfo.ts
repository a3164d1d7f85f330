// Original file: proto/gradloom/v1/model.proto


export interface WorkerInfo {
  'rank'?: (number);
  /**
   * Host and process, for people: whom a message is about.
   */
  'label'?: (string);
}

export interface WorkerInfo__Output {
  'rank': (number);
  /**
   * Host and process, for people: whom a message is about.
   */
  'label': (string);
}
