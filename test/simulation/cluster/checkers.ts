// What must hold of a simulated cluster, whatever happened to it. Stands apart from the code that it checks: it knows
// the gradients, the rules of optimizers and what workers saw, and computes in double precision.
import { codecs } from '../../../shared/codec/registry.js';
import type { OptimizerSpec } from '../../../shared/optimizer/spec.js';
import type { ShardCopies } from '../../../shared/view.js';
import type { Cluster } from './cluster.js';
import type { ReaderHistory } from './reader.js';
import type { WorkerHistory } from './worker-node.js';
import { gradientOf, LEARNING_RATE, samplesOf } from './workload.js';

/** How far rounding may take a value from the exact one; the least contribution of one worker is far larger. */
const TOLERANCE = 1e-4;
/** What a step may take with nothing to disturb it: compute, pauses between attempts, and trips over the network. */
const LIVE_WITHIN_MS = 1_000;
const LIVE_WITHIN_TRIPS = 40;

/** What a worker's contribution to a step was, in the first element of a tensor: its gradient, and what it had left out. */
function contributionOf(
  { leftOut }: Pick<WorkerHistory, 'leftOut'>,
  rank: number,
  step: number,
  tensor: number,
): number {
  const before = step === 0 ? 0 : (leftOut[step - 1]?.[tensor] ?? 0);
  return gradientOf(rank, step, tensor) + before - (leftOut[step]?.[tensor] ?? 0);
}

/** The optimizer's rule for one element, from the papers, in double precision. */
function ruleOf(optimizer: OptimizerSpec): (value: number, gradient: number) => number {
  let [first, second, updates] = [0, 0, 0];
  return (value, gradient) => {
    updates++;
    if (optimizer.kind === 'sgd') return value - LEARNING_RATE * gradient;
    if (optimizer.kind === 'momentum') {
      first = optimizer.momentum * first + gradient;
      return value - LEARNING_RATE * first;
    }
    if (optimizer.kind !== 'adam') throw new Error(`no rule for ${optimizer.kind}`);
    const { beta1, beta2, epsilon } = optimizer;
    first = beta1 * first + (1 - beta1) * gradient;
    second = beta2 * second + (1 - beta2) * gradient ** 2;
    const [m, v] = [first / (1 - beta1 ** updates), second / (1 - beta2 ** updates)];
    return value - (LEARNING_RATE * m) / (Math.sqrt(v) + epsilon);
  };
}

/**
 * Parameters after so many steps of everybody: first element of each tensor, all 0 at first. With a clock of its own,
 * each worker's contribution is an update of a whole learning rate.
 */
export function expectedValues(
  { workers, spec }: Pick<Cluster, 'workers' | 'spec'>,
  rules: ReadonlyMap<number, string>,
  steps: number,
): number[] {
  // Who has not joined has left nothing out.
  const ranked = workers.map((_, rank) => workers.find((worker) => worker.rank === rank) ?? { leftOut: [] });
  const samples = ranked.reduce((sum, _, rank) => sum + samplesOf(rank), 0);
  return spec.tensors.map(({ kind }, tensor) => {
    const rule = ruleOf(spec.optimizer);
    let value = 0;
    for (let step = 0; kind !== 'frozen' && step < steps; step++) {
      const parts = ranked.map(
        (worker, rank) => (samplesOf(rank) * contributionOf(worker, rank, step, tensor)) / samples,
      );
      const mean = parts.reduce((sum, part) => sum + part, 0);
      if (kind === 'state') value = mean;
      else if (rules.get(step) === 'bsp') value = rule(value, mean);
      else for (const part of parts) value = rule(value, ranked.length * part);
    }
    return value;
  });
}

/**
 * Whether what parameters must be is known apart from the code: not where workers apply the momentum, nor where it
 * depends on whose contribution came first, nor of a bit that had changed in what took over.
 */
const isKnown = ({ spec: { codec, optimizer }, wasClocked, copies }: Cluster) =>
  !copies.isSpoilt && (optimizer.kind === 'sgd' || (codec !== 'topk' && !wasClocked));

/** What is wrong, one sentence each. @param reference bits that are read after each step where nothing happens */
export function faultsOf(
  cluster: Cluster,
  disturbed: boolean,
  reference?: ReadonlyMap<number, string>,
): string[] {
  return [
    ...cluster.workers.flatMap(stepsInOrder),
    ...sameRules(cluster),
    ...oneVersion(cluster),
    ...(reference && !cluster.copies.isSpoilt ? sameBits(cluster, reference) : []),
    ...everyUpdateOnce(cluster),
    ...everyoneEnds(cluster, disturbed),
    ...cluster.readers.flatMap((reader) => readersFollow(cluster, reader)),
    ...cluster.copies.faults,
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
  return expectedValues(cluster, rulesOf(cluster), step).flatMap((exact, tensor) =>
    Math.abs(values[tensor] - exact) <= TOLERANCE ||
    // Averages move by shares where workers have clocks of their own.
    (cluster.wasClocked && cluster.spec.tensors[tensor].kind === 'state')
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
      // Some may have been given a block before a spoilt copy of it took over, others after it.
      if (first && first.bits !== bits && !cluster.copies.isSpoilt)
        faults.push(`${name} and ${first.name} read other bits at step ${step}`);
      seen.set(step, first ?? { bits, name });
      // What other codecs round away, or leave out, is in the bits.
      if (cluster.spec.codec === 'fp32' && isKnown(cluster))
        faults.push(...wrongValues(cluster, `${name} read`, values, step));
    }
  return faults;
}

/** Whoever reads under bsp from the beginning reads the bits of a cluster to which nothing happens. */
function sameBits(cluster: Cluster, reference: ReadonlyMap<number, string>): string[] {
  const rules = rulesOf(cluster);
  const clocked = [...rules].flatMap(([step, rule]) => (rule === 'bsp' ? [] : [step]));
  const last = Math.min(...clocked, Number.POSITIVE_INFINITY);
  return cluster.workers.flatMap(({ name, reads }) =>
    [...reads].flatMap(([step, { bits }]) =>
      step > last || bits === reference.get(step)
        ? []
        : [`${name} read other bits at step ${step} than where nothing happens`],
    ),
  );
}

/** At the end the servers hold every update of everybody, each once. */
function everyUpdateOnce(cluster: Cluster): string[] {
  const { finals, workers, spec, serverNames, scheduler } = cluster;
  if (workers.some(({ end }) => !end || end.failed)) return [];
  if (!isKnown(cluster)) return [];
  // A server that is lost between the last step and the end of the run is asked for nothing any more.
  if (serverNames.some((name) => scheduler.isCrashed(name)) && finals.size < spec.tensors.length) return [];
  const values = spec.tensors.map((_, block) => finals.get(block) ?? Number.NaN);
  return wrongValues(cluster, 'servers hold', values, spec.stepsPerEpoch);
}

/** Who only reads sees what all others see, never anything older than before, and goes on as long as the run does. */
function readersFollow(cluster: Cluster, { name, reads, end }: ReaderHistory): string[] {
  if (!end)
    return isGathering(cluster) ? [] : [`${name} has not come to an end, after ${reads.length} reads`];
  const { spec, workers } = cluster;
  const faults = end.runGoesOn ? [`${name} ended while the run goes on: ${end.reason}`] : [];
  if (cluster.wasClocked || cluster.copies.isSpoilt) return faults;
  const bitsOf = new Map<number, string>();
  for (const [at, { step, skew, values, bits }] of reads.entries()) {
    const before = reads[at - 1]?.step ?? 0;
    if (step < before) faults.push(`${name} read step ${step} after step ${before}`);
    if (skew > 0) continue;
    if ((bitsOf.get(step) ?? bits) !== bits)
      faults.push(`${name} read other bits at step ${step} than before`);
    bitsOf.set(step, bits);
    // What somebody left out who died before it saw the step is in the servers alone.
    const isWhole = !codecs[spec.codec].lossy || workers.every(({ leftOut }) => leftOut.length >= step);
    if (isKnown(cluster) && isWhole) faults.push(...wrongValues(cluster, `${name} read`, values, step));
  }
  return faults;
}

/** Of a run that lost all copies of a shard somebody says which. */
export function namesShards({ workers }: Cluster, isShardLost: boolean): string[] {
  const ends = workers.flatMap(({ end }) => (end?.failed ? [end.reason] : []));
  if (!isShardLost || ends.length === 0) return [];
  return ends.some((reason) => /shard [\d, ]+ had no other copy/.test(reason))
    ? []
    : [`the run lost a shard and nobody says which: ${ends[0]}`];
}

/** After the last fault everybody goes on within a bound, step by step, to the end. */
export function livesAgain({ workers, network }: Cluster, quietFromMs: number): string[] {
  const { mostMs, noticeMs } = network.delays;
  const boundMs = LIVE_WITHIN_MS + noticeMs + LIVE_WITHIN_TRIPS * mostMs;
  return workers.flatMap(({ name, readMs }) => {
    const from = [quietFromMs, ...readMs.filter((ms) => ms > quietFromMs)];
    const gaps = from.slice(1).map((ms, at) => ms - from[at]);
    const longest = Math.max(0, ...gaps);
    return longest > boundMs
      ? [`${name} stood still for ${longest.toFixed(0)} ms with nothing to disturb it`]
      : [];
  });
}

/** Servers that hold a shard, or are about to. */
export const holders = ({ primary, backups, joining }: ShardCopies): number[] => [
  primary,
  ...backups,
  ...joining,
];

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
