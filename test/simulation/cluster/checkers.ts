// What must hold of a simulated cluster, whatever happened to it. Stands apart from the code that it checks: it knows
// the gradients, the rule of plain SGD and what workers saw, and computes in double precision.
import { type Cluster, gradientOf, LEARNING_RATE, samplesOf, type WorkerHistory } from './cluster.js';

/** How far rounding may take a value from the exact one; the least contribution of one worker is far larger. */
const TOLERANCE = 1e-4;

/**
 * Parameters after so many steps of each of these workers: first element of each tensor, all 0 at first.
 * @param rules of each step: with a clock of its own, each worker's contribution is an update of a whole learning rate
 */
export function expectedValues(
  ranks: readonly number[],
  rules: ReadonlyMap<number, string>,
  steps: number,
  tensors: number,
): number[] {
  const samples = ranks.reduce((sum, rank) => sum + samplesOf(rank), 0);
  return Array.from({ length: tensors }, (_, tensor) => {
    let value = 0;
    for (let step = 0; step < steps; step++)
      for (const rank of ranks) {
        const factor = rules.get(step) === 'bsp' ? 1 : ranks.length;
        value -= (factor * LEARNING_RATE * samplesOf(rank) * gradientOf(rank, step, tensor)) / samples;
      }
    return value;
  });
}

/** What is wrong, one sentence each. */
export function faultsOf(cluster: Cluster, disturbed: boolean): string[] {
  return [
    ...cluster.workers.flatMap(stepsInOrder),
    ...sameRules(cluster),
    ...oneVersion(cluster),
    ...everyUpdateOnce(cluster),
    ...everyoneEnds(cluster, disturbed),
    ...cluster.holders.map((name) => `${name} still holds the run`),
  ];
}

/** The consistency of each step, as the first who did it saw it. */
function rulesOf({ workers }: Cluster): Map<number, string> {
  const rules = new Map<number, string>();
  for (const worker of workers)
    for (const [step, rule] of worker.rules) rules.set(step, rules.get(step) ?? rule);
  return rules;
}

/** A step is done under one consistency by everybody. */
function sameRules(cluster: Cluster): string[] {
  const rules = rulesOf(cluster);
  return cluster.workers.flatMap((worker) =>
    [...worker.rules].flatMap(([step, rule]) =>
      rule === rules.get(step)
        ? []
        : [`${worker.name} did step ${step} under ${rule}, another under ${rules.get(step)}`],
    ),
  );
}

function stepsInOrder({ name, reads }: WorkerHistory): string[] {
  return [...reads.keys()].flatMap((step, index) =>
    step === index ? [] : [`${name} read step ${step} after step ${index - 1}`],
  );
}

/** @param values first element of each tensor after so many steps of all workers */
function wrongValues(cluster: Cluster, who: string, values: readonly number[], step: number): string[] {
  const ranks = cluster.workers.map((_, rank) => rank);
  return expectedValues(ranks, rulesOf(cluster), step, values.length).flatMap((exact, tensor) =>
    Math.abs(values[tensor] - exact) <= TOLERANCE
      ? []
      : [`${who} ${values[tensor]} in tensor ${tensor} at step ${step}, exact is ${exact}`],
  );
}

/** bsp: after a step all read the same bits, which are those of everybody's gradients up to then, each once. */
function oneVersion(cluster: Cluster): string[] {
  const faults: string[] = [];
  const rules = rulesOf(cluster);
  const seen = new Map<number, { bits: string; name: string }>();
  for (const { name, reads } of cluster.workers)
    for (const [step, { bits, skew, values }] of reads) {
      // With clocks of their own, others may be ahead of one that only begins.
      if (rules.get(Math.max(0, step - 1)) !== 'bsp') continue;
      if (skew > 0) faults.push(`${name} read step ${step} with a skew of ${skew}`);
      const first = seen.get(step);
      if (first && first.bits !== bits)
        faults.push(`${name} and ${first.name} read other bits at step ${step}`);
      seen.set(step, first ?? { bits, name });
      faults.push(...wrongValues(cluster, `${name} read`, values, step));
    }
  return faults;
}

/** At the end the servers hold every update of everybody, each once. */
function everyUpdateOnce(cluster: Cluster): string[] {
  const { finals, workers, spec, serverNames, scheduler } = cluster;
  if (workers.some(({ end }) => !end || end.failed)) return [];
  // A server that is lost between the last step and the end of the run is asked for nothing any more.
  if (serverNames.some((name) => scheduler.isCrashed(name))) return [];
  const values = spec.tensors.map((_, block) => finals.get(block) ?? Number.NaN);
  return wrongValues(cluster, 'servers hold', values, spec.stepsPerEpoch);
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
