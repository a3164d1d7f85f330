// Original file: proto/gradloom/v1/model.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A worker that has left a run with `elastic`: nothing that it has sent for `View.from_step` or later counts.
 */
export interface Departure {
  'rank'?: (number);
  'reason'?: (string);
  /**
   * Steps whose shares it leaves to the others, from the first up to the second, without it; the second is the first
   * step that is dealt without it.
   */
  'lostFrom'?: (number | string | Long);
  'lostTo'?: (number | string | Long);
  /**
   * It was put out by the run, and did not leave by itself.
   */
  'putOut'?: (boolean);
}

/**
 * A worker that has left a run with `elastic`: nothing that it has sent for `View.from_step` or later counts.
 */
export interface Departure__Output {
  'rank': (number);
  'reason': (string);
  /**
   * Steps whose shares it leaves to the others, from the first up to the second, without it; the second is the first
   * step that is dealt without it.
   */
  'lostFrom': (number);
  'lostTo': (number);
  /**
   * It was put out by the run, and did not leave by itself.
   */
  'putOut': (boolean);
}
