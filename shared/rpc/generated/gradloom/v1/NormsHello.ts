// Original file: proto/gradloom/v1/parameters.proto


/**
 * Opens a Norms stream.
 */
export interface NormsHello {
  'protocolVersion'?: (number);
  'run'?: (string);
  'view'?: (number);
  /**
   * The server that speaks, as an index into the view's servers.
   */
  'server'?: (number);
  'schemaHash'?: (Buffer | Uint8Array | string);
}

/**
 * Opens a Norms stream.
 */
export interface NormsHello__Output {
  'protocolVersion': (number);
  'run': (string);
  'view': (number);
  /**
   * The server that speaks, as an index into the view's servers.
   */
  'server': (number);
  'schemaHash': (Buffer);
}
