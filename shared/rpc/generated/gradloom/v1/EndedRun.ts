// Original file: proto/gradloom/v1/membership.proto


export interface EndedRun {
  'failed'?: (boolean);
  'reason'?: (string);
}

export interface EndedRun__Output {
  'failed': (boolean);
  'reason': (string);
}
