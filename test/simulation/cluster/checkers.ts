// What must hold of a simulated cluster, whatever happened to it. Stands apart from the code that it checks: it knows
// the gradients, the rule of plain SGD and what workers saw, and computes in double precision.
import { type Cluster, gradientOf, LEARNING_RATE, samplesOf, type WorkerHistory } from './cluster.js';

/** How far rounding may take a value from the exact one; the least contribution of one worker is far larger. */
const TOLERANCE = 1e-4;

/** Parameters after so many steps of each of these workers: first element of each tensor, all 0 at first. */
export function expectedValues(ranks: readonly number[], steps: number, tensors: number): number[] {
  const samples = ranks.reduce((sum, rank) => sum + samplesOf(rank), 0);
  return Array.from({ length: tensors }, (_, tensor) => {
    let value = 0;
    for (let step = 0; step < steps; step++)
      for (const rank of ranks)
        value -= (LEARNING_RATE * samplesOf(rank) * gradientOf(rank, step, tensor)) / samples;
    return value;
  });
}

/** What is wrong, one sentence each. */
export function faultsOf(cluster: Cluster, disturbed: boolean): string[] {
  const { consistency } = cluster.spec;
  return [
    ...cluster.workers.flatMap(stepsInOrder),
    ...(consistency === 'bsp' ? oneVersion(cluster) : []),
    ...everyUpdateOnce(cluster),
    ...everyoneEnds(cluster, disturbed),
    ...cluster.holders.map((name) => `${name} still holds the run`),
  ];
}

function stepsInOrder({ name, reads }: WorkerHistory): string[] {
  return [...reads.keys()].flatMap((step, index) =>
    step === index ? [] : [`${name} read step ${step} after step ${index - 1}`],
  );
}

/** @param values first element of each tensor after so many steps of all these workers */
function wrongValues(
  who: string,
  values: readonly number[],
  step: number,
  ranks: readonly number[],
  factor = 1,
): string[] {
  return expectedValues(ranks, step, values.length).flatMap((exact, tensor) =>
    Math.abs(values[tensor] - factor * exact) <= TOLERANCE
      ? []
      : [`${who} ${values[tensor]} in tensor ${tensor} at step ${step}, exact is ${factor * exact}`],
  );
}

/** bsp: a step is the same bits for everybody, and the mean of everybody's gradients, each once. */
function oneVersion({ workers }: Cluster): string[] {
  const faults: string[] = [];
  const ranks = workers.map((_, rank) => rank);
  const seen = new Map<number, { bits: string; name: string }>();
  for (const worker of workers)
    for (const [step, { bits, skew, values }] of worker.reads) {
      const { name } = worker;
      if (skew > 0) faults.push(`${name} read step ${step} with a skew of ${skew}`);
      const first = seen.get(step);
      if (first && first.bits !== bits)
        faults.push(`${name} and ${first.name} read other bits at step ${step}`);
      seen.set(step, first ?? { bits, name });
      faults.push(...wrongValues(`${name} read`, values, step, ranks));
    }
  return faults;
}

/** At the end the servers hold every update of everybody, each once. */
function everyUpdateOnce({ finals, workers, spec, serverNames, scheduler }: Cluster): string[] {
  if (workers.some(({ end }) => !end || end.failed)) return [];
  // A server that is lost between the last step and the end of the run is asked for nothing any more.
  if (serverNames.some((name) => scheduler.isCrashed(name))) return [];
  const values = spec.tensors.map((_, block) => finals.get(block) ?? Number.NaN);
  const ranks = workers.map((_, rank) => rank);
  // With a clock of its own, each worker's contribution is an update of a whole learning rate.
  const factor = spec.consistency === 'bsp' ? 1 : workers.length;
  return wrongValues('servers hold', values, spec.stepsPerEpoch, ranks, factor);
}

/** Nobody hangs: each worker that lives is done, or was told who is at fault. */
function everyoneEnds(cluster: Cluster, disturbed: boolean): string[] {
  const { spec, scheduler, workers } = cluster;
  return workers.flatMap(({ name, end, reads }) => {
    if (!end) {
      // Who has died before it joined is waited for, by number: nobody knows that it will not come.
      const isExcused = scheduler.isCrashed(name) || isGathering(cluster);
      return isExcused ? [] : [`${name} has not come to an end, after ${reads.size - 1} steps`];
    }
    if (end.failed)
      return [
        ...(disturbed ? [] : [`${name} failed without a cause: ${end.reason}`]),
        ...(/server|worker|keeper/.test(end.reason) ? [] : [`${name} ended and names nobody: ${end.reason}`]),
      ];
    return reads.size === spec.stepsPerEpoch + 1
      ? []
      : [`${name} is done after ${reads.size - 1} of ${spec.stepsPerEpoch} steps`];
  });
}

function isGathering({ coordinator, workers, scheduler }: Cluster): boolean {
  const died = workers.some(({ name, rank }) => rank < 0 && scheduler.isCrashed(name));
  const runs = [...coordinator.runs.values()];
  return died && runs.every((run) => run.state === 'gathering' && coordinator.waiting(run) !== '');
}
