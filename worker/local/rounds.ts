// Which steps make a round, at whose end workers exchange: one step, or under `local` so many, or what is left of
// the epoch. Servers count rounds, everyone else counts steps. Pure.
import type { RunSpec } from '../../shared/run/spec.js';

export interface Rounds {
  /** Whether a round ends with this step of the run (from 0). */
  endsWith(step: number): boolean;
  /** Rounds that have ended after so many steps. */
  endedAfter(steps: number): number;
  /** Rounds that have ended when at least so many steps are done. */
  endedWith(steps: number): number;
  /** First step of a round (from 0): the steps that are done when so many rounds have ended. */
  firstStep(round: number): number;
}

/**
 * A round ends with the epoch even where it is not full, so that whatever is evaluated and saved has everything that
 * was computed; the next epoch begins with a round of its own.
 */
export function roundsOf({ stepsPerEpoch, local }: Pick<RunSpec, 'stepsPerEpoch' | 'local'>): Rounds {
  const length = local?.steps ?? 1;
  const roundsPerEpoch = Math.ceil(stepsPerEpoch / length);
  const endedAfter = (steps: number) =>
    Math.floor(steps / stepsPerEpoch) * roundsPerEpoch + Math.floor((steps % stepsPerEpoch) / length);
  const firstStep = (round: number) =>
    Math.floor(round / roundsPerEpoch) * stepsPerEpoch + (round % roundsPerEpoch) * length;
  return {
    endsWith: (step) => endedAfter(step + 1) > endedAfter(step),
    endedAfter,
    endedWith: (steps) => endedAfter(steps) + (firstStep(endedAfter(steps)) < steps ? 1 : 0),
    firstStep,
  };
}
