// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

export interface ServerProgress {
  'step'?: (number | string | Long);
  /**
   * Ranks of the workers whose contributions the oldest open step lacks.
   */
  'waitingFor'?: (number)[];
}

export interface ServerProgress__Output {
  'step': (number);
  /**
   * Ranks of the workers whose contributions the oldest open step lacks.
   */
  'waitingFor': (number)[];
}
