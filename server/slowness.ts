// Who makes the steps of a run long: the pure verdict behind `gradloom why-slow`. Under bsp everybody's steps take the
// same time, and the one who waits least is the one that the others wait for. So the phases that are a worker's own are
// compared with those of its peers, and servers by when their last block comes: less what they waited for their backups,
// which are compared by that. A value stands out where it is further from the median of the others than three scaled
// median absolute deviations (shared/outliers.ts), and matters where the step
// would be much shorter without it.
import { HEARTBEAT_MS, HEARTBEATS_MISSED, WAITING_NOTICE_MS } from '../shared/limits.js';
import { median, toleranceOf } from '../shared/outliers.js';

/** Phases that a worker spends on its own, as StepTimes names them. */
export const OWN_PHASES = ['data', 'rows', 'compute', 'optimizer', 'encode', 'decode'] as const;
export type OwnPhase = (typeof OWN_PHASES)[number];

/** Seconds of a step; `wait` is what is spent on others. */
export type PhaseSeconds = Readonly<Record<OwnPhase | 'wait', number>>;

export interface WorkerTimes {
  readonly rank: number;
  /** Means over its last steps. */
  readonly seconds: PhaseSeconds;
  /** What it was in the midst of when it was last heard of, and for how long. */
  readonly phase: string;
  readonly secondsInPhase: number;
  /** Since its last sign of life. */
  readonly secondsSilent: number;
  /** By server's id: from the beginning of an exchange to its last block. */
  readonly servers: ReadonlyMap<number, number>;
}

/** How long, at the end of a step, the primary of shards waits for a backup. Servers by their ids. */
export interface CopyTime {
  readonly primary: number;
  readonly backup: number;
  readonly seconds: number;
}

export interface Slowness {
  readonly role: 'worker' | 'server';
  /** Rank or id. */
  readonly number: number;
  readonly phase: OwnPhase | 'exchange' | 'replicate' | 'silent';
  readonly seconds: number;
  /** The median of its peers. */
  readonly peersSeconds: number;
  /** Part of a step that the other workers wait, in the median. */
  readonly waitedShare: number;
}

/** A worker that lives says something more often than that. */
export const SILENCE_MAX_SECONDS = (HEARTBEATS_MISSED * HEARTBEAT_MS) / 1000;

/** A server of a run that lives says something more often than that. */
export const SERVER_SILENCE_MAX_SECONDS = (HEARTBEATS_MISSED * WAITING_NOTICE_MS) / 1000;

/** How many times as long as without it a step is at least, for somebody to be called slow. */
export const SLOW_RATIO = 1.5;
interface Outlier {
  index: number;
  /** Above the median of the others. */
  excess: number;
}

/** Less than that is not told apart: a phase that takes peers nothing, or a sign of life that has just come. */
const RESOLUTION_SECONDS = 0.001;

/** How many times as long as its peers somebody takes; of one who is silent, as the time between two signs of life. */
export function ratioOf({ phase, seconds, peersSeconds }: Slowness): number {
  return seconds / Math.max(peersSeconds, phase === 'silent' ? HEARTBEAT_MS / 1000 : RESOLUTION_SECONDS);
}

/** The largest of some values where it stands out from the others; undefined where it does not, or is alone. */
function outlier(values: readonly number[]): Outlier | undefined {
  if (values.length < 2) return undefined;
  const index = values.indexOf(Math.max(...values));
  const others = values.filter((_, other) => other !== index);
  const middle = median(others);
  const excess = values[index] - middle;
  return excess > toleranceOf(others, middle) ? { index, excess } : undefined;
}

/** What a phase takes, or has taken already where it is under way for longer than it takes. */
function ownSeconds({ seconds, phase, secondsInPhase }: WorkerTimes, own: OwnPhase): number {
  return phase === own ? Math.max(seconds[own], secondsInPhase) : seconds[own];
}

const sumOf = (worker: WorkerTimes): number =>
  OWN_PHASES.reduce((sum, phase) => sum + ownSeconds(worker, phase), 0);

const stepSeconds = (worker: WorkerTimes): number => sumOf(worker) + worker.seconds.wait;

const mattersIn = (step: number, excess: number): boolean => step >= SLOW_RATIO * (step - excess);

function waitedShare(workers: readonly WorkerTimes[]): number {
  return median(workers.map((worker) => worker.seconds.wait / (stepSeconds(worker) || 1)));
}

/**
 * Whom the others wait for, and what it is slow in; undefined where nobody stands out.
 * @param workers those that have taken a step
 * @param silenceMaxSeconds a worker that lives says something more often than that
 * @param copies of every shard that has one
 */
export function judge(
  workers: readonly WorkerTimes[],
  silenceMaxSeconds: number,
  copies: readonly CopyTime[] = [],
): Slowness | undefined {
  return silent(workers, silenceMaxSeconds) ?? slowWorker(workers) ?? slowServer(workers, copies);
}

/** A worker that says nothing any more while others do. */
function silent(workers: readonly WorkerTimes[], silenceMaxSeconds: number): Slowness | undefined {
  if (workers.length === 0) return undefined;
  const longest = workers.reduce((a, b) => (b.secondsSilent > a.secondsSilent ? b : a));
  if (longest.secondsSilent <= silenceMaxSeconds) return undefined;
  const others = workers.filter((worker) => worker !== longest);
  return {
    role: 'worker',
    number: longest.rank,
    phase: 'silent',
    seconds: longest.secondsSilent,
    peersSeconds: others.length > 0 ? median(others.map(({ secondsSilent }) => secondsSilent)) : 0,
    waitedShare: others.length > 0 ? waitedShare(others) : 0,
  };
}

function slowWorker(workers: readonly WorkerTimes[]): Slowness | undefined {
  const found = outlier(workers.map(sumOf));
  if (!found) return undefined;
  const worker = workers[found.index];
  if (!mattersIn(stepSeconds(worker), found.excess)) return undefined;
  const others = workers.filter((other) => other !== worker);
  const phases = OWN_PHASES.map((phase) => {
    const seconds = ownSeconds(worker, phase);
    const peersSeconds = median(others.map((other) => ownSeconds(other, phase)));
    return { phase, seconds, peersSeconds };
  });
  const worst = phases.reduce((a, b) => (b.seconds - b.peersSeconds > a.seconds - a.peersSeconds ? b : a));
  return { role: 'worker', number: worker.rank, ...worst, waitedShare: waitedShare(others) };
}

/**
 * A server whose last block comes later than that of the others, or that answers others later whose blocks it copies: of
 * two that stand out the one that costs more. Blocks are seen by the worker that waits least: the others' times have the
 * wait for it in them.
 */
function slowServer(workers: readonly WorkerTimes[], copies: readonly CopyTime[]): Slowness | undefined {
  const fastest = new Map<number, number>();
  for (const { servers } of workers)
    for (const [server, seconds] of servers)
      fastest.set(server, Math.min(seconds, fastest.get(server) ?? Number.POSITIVE_INFINITY));
  const [waits, answers] = [longest(copies, 'primary'), longest(copies, 'backup')];
  const own = new Map(
    [...fastest].map(([server, seconds]) => [server, Math.max(0, seconds - (waits.get(server) ?? 0))]),
  );
  const found = [slowest(workers, own, 'exchange'), slowest(workers, answers, 'replicate')];
  const excess = ({ seconds, peersSeconds }: Slowness) => seconds - peersSeconds;
  return found.flatMap((each) => each ?? []).sort((a, b) => excess(b) - excess(a))[0];
}

/** The most that is told of each server as this. */
function longest(copies: readonly CopyTime[], as: 'primary' | 'backup'): Map<number, number> {
  const most = new Map<number, number>();
  for (const { [as]: server, seconds } of copies) most.set(server, Math.max(seconds, most.get(server) ?? 0));
  return most;
}

/** The server that stands out by a time, where steps are much longer for it. */
function slowest(
  workers: readonly WorkerTimes[],
  byServer: ReadonlyMap<number, number>,
  phase: 'exchange' | 'replicate',
): Slowness | undefined {
  const ids = [...byServer.keys()].sort((a, b) => a - b);
  const times = ids.map((id) => byServer.get(id) as number);
  const found = outlier(times);
  if (!found) return undefined;
  const seconds = times[found.index];
  const steps = workers.map((worker) => Math.max(stepSeconds(worker), sumOf(worker) + seconds));
  if (!mattersIn(median(steps), found.excess)) return undefined;
  const peersSeconds = seconds - found.excess;
  const share = waitedShare(workers);
  return { role: 'server', number: ids[found.index], phase, seconds, peersSeconds, waitedShare: share };
}
