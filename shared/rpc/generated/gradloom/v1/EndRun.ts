// Original file: proto/gradloom/v1/membership.proto


export interface EndRun {
  'run'?: (string);
  'reason'?: (string);
}

export interface EndRun__Output {
  'run': (string);
  'reason': (string);
}
