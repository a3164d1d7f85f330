// What the picture of a loss curve shows: the CSV read in one pass, thinned and smoothed in bounded memory.
import { CURVE_POINTS_MAX } from '../../shared/limits.js';
import { readCurve } from './curve-file.js';
import { type Bin, smooth, Thinner } from './thin.js';

/** What is drawn: a few thousand points, whatever the length of the run. */
export interface CurveData {
  /** Loss of training steps, as it was and smoothed. */
  readonly trainLoss: Bin[];
  readonly smoothLoss: Bin[];
  readonly testLoss: Bin[];
  /** Smoothed; empty where the job has no accuracy. */
  readonly trainAccuracy: Bin[];
  readonly testAccuracy: Bin[];
  /** Last step of each epoch. */
  readonly epochEnds: { readonly epoch: number; readonly step: number }[];
}

/** Epochs whose end is kept; a longer run shows no lines for them. */
const EPOCH_ENDS_MAX = 4096;

/** Reads and thins a CSV that `CurveFile` wrote. */
export async function loadCurve(csv: string): Promise<CurveData> {
  const trainLoss = new Thinner(CURVE_POINTS_MAX);
  const trainAccuracy = new Thinner(CURVE_POINTS_MAX);
  const testLoss = new Thinner(CURVE_POINTS_MAX);
  const testAccuracy = new Thinner(CURVE_POINTS_MAX);
  const epochEnds = new Map<number, number>();
  for await (const { split, step, epoch, loss, accuracy } of readCurve(csv)) {
    const [losses, accuracies] = split === 'train' ? [trainLoss, trainAccuracy] : [testLoss, testAccuracy];
    losses.add(step, loss);
    if (accuracy !== undefined) accuracies.add(step, accuracy);
    if (epochEnds.size < EPOCH_ENDS_MAX || epochEnds.has(epoch)) epochEnds.set(epoch, step);
  }
  const raw = trainLoss.bins();
  const radius = Math.ceil(raw.length / 40);
  return {
    trainLoss: raw,
    smoothLoss: smooth(raw, radius),
    testLoss: testLoss.bins(),
    trainAccuracy: smooth(trainAccuracy.bins(), radius),
    testAccuracy: testAccuracy.bins(),
    epochEnds: [...epochEnds].map(([epoch, step]) => ({ epoch, step })),
  };
}
