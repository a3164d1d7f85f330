// What a step of an exchange gives back: what came of it, what was moved, and how its time is made up.
import { performance } from 'node:perf_hooks';
import type { StepOutcome__Output } from '../rpc/generated/gradloom/v1/StepOutcome.js';
import type { PassedSteps } from './decided-steps.js';
import type { Age } from './pending.js';

/** What went up, and the time that encoding it took. */
export interface Pushed {
  /** Payload on the wire: without what stays in this process. */
  bytes: number;
  /** Numbers that it stands for. */
  elements: number;
  encodeSeconds: number;
}

export interface StepResult {
  outcome: StepOutcome__Output;
  /** Steps decided: the client's next step. With backup workers it may have passed some. */
  step: number;
  /** False: with backup workers the step went on without this one, and its gradients were dropped. */
  taken: boolean;
  /** With backup workers: what came of all steps since the last one. */
  passed?: PassedSteps;
  encodeSeconds: number;
  decodeSeconds: number;
  /** What is left of the exchange's time: sending, the servers' work, and waiting for the other workers. */
  waitSeconds: number;
  /** Payload on the wire: without what stays in this process. */
  bytesPushed: number;
  bytesPulled: number;
  /** Payload that went up once more, over a link that took the place of a lost one. */
  bytesRetried: number;
  /** Numbers that it stands for. */
  elementsPushed: number;
  elementsPulled: number;
  /** As of `fetch`: how old, and how far apart, the new blocks are. */
  read: Age;
  /** Whether each worker had a clock of its own. */
  clocked: boolean;
}

/** What was moved in a step, and how its time is made up. @param started when it began, in ms */
export function added(a: Pushed, b: Pushed): Pushed {
  return {
    bytes: a.bytes + b.bytes,
    elements: a.elements + b.elements,
    encodeSeconds: a.encodeSeconds + b.encodeSeconds,
  };
}

export function moved(
  started: number,
  pushed: Pushed,
  pulled: Pick<StepResult, 'bytesPulled' | 'elementsPulled' | 'decodeSeconds'>,
) {
  const seconds = (performance.now() - started) / 1000;
  return {
    encodeSeconds: pushed.encodeSeconds,
    decodeSeconds: pulled.decodeSeconds,
    waitSeconds: Math.max(0, seconds - pushed.encodeSeconds - pulled.decodeSeconds),
    bytesPushed: pushed.bytes,
    bytesPulled: pulled.bytesPulled,
    elementsPushed: pushed.elements,
    elementsPulled: pulled.elementsPulled,
  };
}
