// Original file: proto/gradloom/v1/membership.proto


export interface ServerWelcome {
  'id'?: (number);
}

export interface ServerWelcome__Output {
  'id': (number);
}
