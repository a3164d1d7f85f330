// Original file: proto/gradloom/v1/membership.proto


/**
 * An empty run: the only one that is running.
 */
export interface DescribeRequest {
  'run'?: (string);
}

/**
 * An empty run: the only one that is running.
 */
export interface DescribeRequest__Output {
  'run': (string);
}
