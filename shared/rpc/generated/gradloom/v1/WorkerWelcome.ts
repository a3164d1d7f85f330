// Original file: proto/gradloom/v1/membership.proto


export interface WorkerWelcome {
  'run'?: (string);
  'rank'?: (number);
  /**
   * Workers that have joined, and servers in the mesh; sent again as they change.
   */
  'workersJoined'?: (number);
  'workersExpected'?: (number);
  'servers'?: (number);
}

export interface WorkerWelcome__Output {
  'run': (string);
  'rank': (number);
  /**
   * Workers that have joined, and servers in the mesh; sent again as they change.
   */
  'workersJoined': (number);
  'workersExpected': (number);
  'servers': (number);
}
