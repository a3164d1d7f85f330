// Original file: proto/gradloom/v1/model.proto


export interface ServerInfo {
  /**
   * The server's identity in views: small, unique in the mesh, never used again.
   */
  'id'?: (number);
  /**
   * Where workers reach it, HOST:PORT.
   */
  'address'?: (string);
  /**
   * Relative share of the bytes that it should hold.
   */
  'weight'?: (number | string);
}

export interface ServerInfo__Output {
  /**
   * The server's identity in views: small, unique in the mesh, never used again.
   */
  'id': (number);
  /**
   * Where workers reach it, HOST:PORT.
   */
  'address': (string);
  /**
   * Relative share of the bytes that it should hold.
   */
  'weight': (number);
}
