// Original file: proto/gradloom/v1/parameters.proto


/**
 * Opens an Agree stream.
 */
export interface AgreeHello {
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
 * Opens an Agree stream.
 */
export interface AgreeHello__Output {
  'protocolVersion': (number);
  'run': (string);
  'view': (number);
  /**
   * The server that speaks, as an index into the view's servers.
   */
  'server': (number);
  'schemaHash': (Buffer);
}
