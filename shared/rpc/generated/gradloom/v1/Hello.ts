// Original file: proto/gradloom/v1/parameters.proto


/**
 * Opens either stream. Whatever does not match the server's run and view is refused.
 */
export interface Hello {
  'protocolVersion'?: (number);
  'run'?: (string);
  'view'?: (number);
  'worker'?: (number);
  'schemaHash'?: (Buffer | Uint8Array | string);
  /**
   * Reads only: not one of the view's workers (an SDK client that pulls, an evaluator). Pull alone.
   */
  'observer'?: (boolean);
  /**
   * The shard that the streams are for: an index in View.placement.
   */
  'shard'?: (number);
}

/**
 * Opens either stream. Whatever does not match the server's run and view is refused.
 */
export interface Hello__Output {
  'protocolVersion': (number);
  'run': (string);
  'view': (number);
  'worker': (number);
  'schemaHash': (Buffer);
  /**
   * Reads only: not one of the view's workers (an SDK client that pulls, an evaluator). Pull alone.
   */
  'observer': (boolean);
  /**
   * The shard that the streams are for: an index in View.placement.
   */
  'shard': (number);
}
