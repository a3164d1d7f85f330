// Original file: proto/gradloom/v1/membership.proto


export interface DrainRequest {
  /**
   * ServerInfo.id.
   */
  'server'?: (number);
}

export interface DrainRequest__Output {
  /**
   * ServerInfo.id.
   */
  'server': (number);
}
