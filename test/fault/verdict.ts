// What a run with faults has kept of what its scenario promises. Pure: what was seen of the run comes in, sentences about
// what did not hold come out.
import type { ChildEvent, Exit } from '../../deploy/children.js';
import { EXIT } from '../../shared/errors.js';
import { longestGapSeconds, type Progress, recordsOfEpochs, stepsLost } from './figures.js';
import type { Injected } from './inject.js';
import type { Scenario } from './scenario.js';

/** What was seen of a run. */
export interface Seen {
  progress: readonly Progress[];
  /** All but steps and epochs. */
  events: readonly ChildEvent[];
  /** One after another. */
  injected: Injected[];
  /** How the workers ended that were not killed. */
  exits: readonly Exit[];
  /** How servers ended that were stopped until they were replaced. */
  wokenUp: Exit[];
  weightsSha256?: string;
  /** HOST:PORT of the keeper. */
  keeper: string;
  /** Why the run could not be followed to its end. */
  failure?: string;
}

/** What a run takes and gives without faults. */
export interface Expectable {
  weightsSha256: string;
  steps: number;
  stepsPerEpoch: number;
  /** Of one epoch. */
  records: number;
  /** The longest from one step to the next. */
  stepSecondsMax: number;
}

/** Times the longest step without faults, which a stall may be anyway. */
const BUSY = 2;

/** A sentence for each thing that did not hold. */
export function violationsOf(
  { expects, snapshots }: Scenario,
  plannedFaults: number,
  seen: Seen,
  reference: Expectable,
): string[] {
  const found: string[] = [];
  const { progress, events, injected } = seen;
  if (seen.failure !== undefined) found.push(seen.failure);
  if (injected.length < plannedFaults)
    found.push(`expected ${plannedFaults} faults, the run was over after ${injected.length}`);
  if (expects.fails) return [...found, ...badEnds(seen)];
  for (const { name, code, signal, lastWords } of seen.exits)
    if (code !== EXIT.done)
      found.push(`${name} ended with ${signal ?? `status ${code}`}: ${lastWords.at(-1) ?? 'without a word'}`);
  if (expects.sameBits && seen.weightsSha256 !== reference.weightsSha256)
    found.push(`expected the weights ${reference.weightsSha256}, got ${seen.weightsSha256 ?? 'none'}`);
  const { redone, missing } = stepsLost(progress, reference.steps);
  if (missing > 0) found.push(`${missing} of ${reference.steps} steps were done by nobody`);
  if (expects.noStepLost && redone > 0) found.push(`${redone} steps that were done had to be done again`);
  if (expects.records)
    for (const [epoch, records] of recordsOfEpochs(progress, reference.stepsPerEpoch).entries())
      if (records !== reference.records)
        found.push(`expected ${reference.records} records in epoch ${epoch + 1}, its steps had ${records}`);
  if (expects.waitIsNamed)
    for (const { target, pid } of injected)
      if (!events.some(({ event, workers }) => event === 'waiting' && String(workers).includes(`:${pid})`)))
        found.push(`nobody said that it waits for ${target}, which was stopped`);
  const stall = longestGapSeconds(progress, injected[0]?.atMs ?? Number.POSITIVE_INFINITY);
  // Where others keep the machine so busy that a step alone takes long, that is no fault's doing.
  const stallMax = Math.max(
    expects.stallMaxSeconds ?? Number.POSITIVE_INFINITY,
    BUSY * reference.stepSecondsMax,
  );
  if (stall > stallMax)
    found.push(
      `expected at most ${stallMax.toFixed(2)} s without progress, there were ${stall.toFixed(2)} s`,
    );
  if (expects.fenced && seen.wokenUp.every(({ code }) => code === EXIT.done))
    found.push('a server that was replaced while it stood still did not say so when it woke up');
  found.push(...badSnapshots(snapshots, seen));
  return found;
}

/** A run that is to end with its keeper's death: everybody ends, with status 1 and the keeper's address. */
function badEnds({ exits, keeper }: Seen): string[] {
  return exits.flatMap(({ name, code, signal, lastWords }) => {
    const words = lastWords.at(-1) ?? '';
    if (code === EXIT.failed && words.includes(keeper)) return [];
    return [
      `expected ${name} to end with status ${EXIT.failed} and the keeper's address ${keeper}, it ended with ${signal ?? `status ${code}`}: ${words || 'without a word'}`,
    ];
  });
}

function badSnapshots(snapshots: Scenario['snapshots'], { events, injected }: Seen): string[] {
  const told = events.filter(({ event }) => event === 'snapshot');
  const isFailure = ({ failure }: ChildEvent) => failure !== undefined;
  if (snapshots === 'full-disk') {
    if (told.some((event) => !isFailure(event)))
      return ['a snapshot was written to a disk that is too small'];
    return told.length > 0 ? [] : ['nobody said that snapshots could not be written'];
  }
  // Whoever goes on does so from the newest snapshot that was told before, or from one that nobody could tell any more.
  return injected.flatMap(({ fromStep, wholeStep, target }) =>
    fromStep === undefined || wholeStep === undefined || fromStep >= wholeStep
      ? []
      : [
          `after the death of ${target} the run went on from step ${fromStep}, a snapshot of step ${wholeStep} was whole`,
        ],
  );
}
