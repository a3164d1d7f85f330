// What a run with faults is judged by, as pure functions of what its workers said and when: the longest time without
// progress, the dip in throughput around a fault, the steps that had to be done again, and the records of each epoch.

/** A step or an evaluation that is done, as the worker says that tells of the run: the first of those who are there. */
export interface Progress {
  /** When it was said (ms, monotonic). */
  readonly atMs: number;
  readonly kind: 'step' | 'epoch';
  /** Steps done. */
  readonly step: number;
  /** Of all workers together, behind a step. */
  readonly samples: number;
}

/** The window around a fault in which throughput is measured, half of it before. */
const DIP_WINDOW_MS = 10_000;
/** Throughput outside of the windows is taken from this much time at least, else from a run without faults. */
const STEADY_MIN_MS = 5_000;

/** Seconds from each step or evaluation of the run to the next; of those that end after a time. */
export function gapsOf(progress: readonly Progress[], fromMs = Number.NEGATIVE_INFINITY): number[] {
  return progress
    .slice(1)
    .flatMap(({ atMs }, index) => (atMs >= fromMs ? [(atMs - progress[index].atMs) / 1000] : []));
}

/** The longest of them; 0 where there is none. */
export const longestGapSeconds = (progress: readonly Progress[], fromMs?: number): number =>
  gapsOf(progress, fromMs).reduce((longest, gap) => Math.max(longest, gap), 0);

/** When each step was first done, in that order. */
function firstTimes(progress: readonly Progress[]): number[] {
  const times = new Map<number, number>();
  for (const { kind, step, atMs } of progress) if (kind === 'step' && !times.has(step)) times.set(step, atMs);
  return [...times.values()].sort((a, b) => a - b);
}

/** Steps per second from the first step to the last. */
export function rateOf(progress: readonly Progress[]): number {
  const times = firstTimes(progress);
  return (1000 * (times.length - 1)) / ((times.at(-1) ?? 0) - times[0]);
}

/**
 * How much slower the run was in the ten seconds around a fault than at other times, at the worst of the faults: 0.1 is
 * 10 % fewer steps, a negative number more of them; 0 without faults.
 * @param steadyRate steps per second to compare with where the run has too little time without faults
 */
export function dipOf(
  progress: readonly Progress[],
  faultsMs: readonly number[],
  steadyRate: number,
): number {
  const times = firstTimes(progress);
  if (times.length < 2 || faultsMs.length === 0) return 0;
  const [begin, end] = [times[0], times[times.length - 1]];
  const windows = faultsMs.map((atMs) => ({
    from: Math.max(begin, atMs - DIP_WINDOW_MS / 2),
    to: Math.min(end, atMs + DIP_WINDOW_MS / 2),
  }));
  const isIn = (atMs: number) => windows.some(({ from, to }) => atMs > from && atMs <= to);
  let coveredMs = 0;
  let reached = begin;
  for (const { from, to } of windows.toSorted((a, b) => a.from - b.from)) {
    coveredMs += Math.max(0, to - Math.max(from, reached));
    reached = Math.max(reached, to);
  }
  const steadyMs = end - begin - coveredMs;
  const outside = times.filter((atMs) => atMs > begin && !isIn(atMs)).length;
  const steady = steadyMs >= STEADY_MIN_MS ? (1000 * outside) / steadyMs : steadyRate;
  const dips = windows
    .filter(({ from, to }) => to > from)
    .map(({ from, to }) => {
      const inside = times.filter((atMs) => atMs > from && atMs <= to).length;
      return 1 - (1000 * inside) / (to - from) / steady;
    });
  return dips.length > 0 ? Math.max(...dips) : 0;
}

/** How many steps that were done had to be done again, and how many of all were done by nobody. */
export function stepsLost(progress: readonly Progress[], steps: number): { redone: number; missing: number } {
  const done = new Set<number>();
  let redone = 0;
  for (const { kind, step } of progress) {
    if (kind !== 'step') continue;
    if (done.has(step)) redone++;
    done.add(step);
  }
  return { redone, missing: steps - done.size };
}

/** Records behind the steps of each epoch, as the workers said; a step that was done again counts as it came out last. */
export function recordsOfEpochs(progress: readonly Progress[], stepsPerEpoch: number): number[] {
  const samples = new Map<number, number>();
  for (const { kind, step, samples: records } of progress) if (kind === 'step') samples.set(step, records);
  const epochs: number[] = [];
  for (const [step, records] of samples) {
    const epoch = Math.floor((step - 1) / stepsPerEpoch);
    epochs[epoch] = (epochs[epoch] ?? 0) + records;
  }
  return epochs;
}
