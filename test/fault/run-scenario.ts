// Carries a scenario out on real processes, beside the same run without faults, and says what has held and what has not.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { ChildEvent } from '../../deploy/children.js';
import { sentence } from '../../shared/errors.js';
import { keyedRandom } from '../../shared/random.js';
import { medianOf } from '../bench/result.js';
import { type Etcd, etcdMissing, openEtcd } from '../helpers/etcd-process.js';
import { dipOf, gapsOf, longestGapSeconds, rateOf, stepsLost } from './figures.js';
import { mountTiny } from './full-disk.js';
import { type Injected, inject } from './inject.js';
import { growthOf, MemoryWatch, type ProcessMemory } from './memory.js';
import { MeshRun } from './mesh-run.js';
import type { Fault, Role, Scenario } from './scenario.js';
import { SNAPSHOT_STEPS } from './scenarios.js';
import { type Expectable, type Seen, violationsOf } from './verdict.js';

/** What is trained. */
export interface Workload {
  /** Flags of every worker: job, data, batch. */
  flags: readonly string[];
  epochs: number;
}

/** A run without faults: what to compare with. */
export interface Reference extends Expectable {
  stepSecondsMedian: number;
  /** Steps per second. */
  rate: number;
  seconds: number;
}

export interface RoundResult {
  scenario: string;
  seed: number;
  /** Why the scenario cannot be carried out here. */
  skipped?: string;
  faults: Injected[];
  /** Null where the run is not meant to end with weights. */
  sameBits: boolean | null;
  stepsLost: number;
  secondsWithoutProgress: number;
  /** Of the run without faults: the median from one step to the next at a worker, and the longest. */
  stepSecondsMedian: number;
  stepSecondsMax: number;
  dip: number;
  memory: ProcessMemory[];
  violations: string[];
}

/** A run that takes so many times the time of the one without faults, and this much more, hangs. */
const HANG_FACTOR = 5;
const HANG_SECONDS = 120;

export interface RunOptions {
  workload: Workload;
  /** Told what happens, line by line. */
  say(line: string): void;
}

interface Surroundings {
  memory: MemoryWatch;
  folder: string;
  etcd?: Etcd;
}

function meshOf(scenario: Scenario, workload: Workload, { memory, folder, etcd }: Surroundings): MeshRun {
  const { servers, workers, proxied, peerDeadlineSeconds } = scenario;
  const deadline = peerDeadlineSeconds === undefined ? [] : [`--peer-deadline=${peerDeadlineSeconds}`];
  const snapshots = scenario.snapshots ? [`--snapshots=${snapshotsIn(folder)}`] : [];
  const every = scenario.snapshots ? [`--snapshot-steps=${SNAPSHOT_STEPS}`] : [];
  return new MeshRun(
    {
      servers,
      workers,
      proxied,
      etcd,
      serverFlags: [...deadline, ...snapshots],
      workerFlags: [
        ...workload.flags,
        `--epochs=${workload.epochs}`,
        `--out=${join(folder, 'runs')}`,
        ...scenario.flags,
        ...deadline,
        ...snapshots,
        ...every,
      ],
    },
    memory,
  );
}

const snapshotsIn = (folder: string): string => join(folder, 'snapshots');
const weightsOf = ({ summary }: ChildEvent): string => (summary as { weightsSha256: string }).weightsSha256;

/** Runs a scenario's topology without its faults. Throws RunError where it does not end well. */
export async function runReference(scenario: Scenario, { workload, say }: RunOptions): Promise<Reference> {
  say(`without faults: ${scenario.servers} servers, ${scenario.workers} workers`);
  const folder = mkdtempSync(join(tmpdir(), 'gradloom-chaos-'));
  const memory = new MemoryWatch();
  const plain = { ...scenario, proxied: undefined, snapshots: undefined };
  const mesh = meshOf(plain, workload, { memory, folder });
  const began = performance.now();
  try {
    await mesh.start();
    const done = await mesh.event('done');
    await mesh.exits('worker');
    const { progress, events } = mesh;
    const start = events.find(({ event }) => event === 'start') as ChildEvent;
    const stepsPerEpoch = start.stepsPerEpoch as number;
    return {
      weightsSha256: weightsOf(done),
      steps: workload.epochs * stepsPerEpoch,
      stepsPerEpoch,
      records: stepsPerEpoch * (start.globalBatch as number),
      stepSecondsMedian: medianOf(gapsOf(progress)),
      stepSecondsMax: longestGapSeconds(progress),
      rate: rateOf(progress),
      seconds: (performance.now() - began) / 1000,
    };
  } finally {
    memory.close();
    await mesh.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a scenario's processes with its faults, and judges what came of it. */
export async function runScenario(
  name: string,
  scenario: Scenario,
  seed: number,
  reference: Reference,
  { workload, say }: RunOptions,
): Promise<RoundResult> {
  const faults = scenario.faults(keyedRandom(seed, 'chaos', name));
  const folder = mkdtempSync(join(tmpdir(), 'gradloom-chaos-'));
  const disk = scenario.snapshots === 'full-disk' ? mountTiny(snapshotsIn(folder)) : undefined;
  const memory = new MemoryWatch();
  const etcdFault = scenario.etcd ? etcdMissing() : '';
  const etcd = scenario.etcd && !etcdFault ? await openEtcd(mkdtempSync(join(folder, 'etcd-'))) : undefined;
  const skipped = disk?.failure ?? (etcdFault || undefined);
  const mesh = meshOf(scenario, workload, { memory, folder, etcd });
  const injected: Injected[] = [];
  const { progress, events } = mesh;
  const seen: Seen = { progress, events, injected, exits: [], wokenUp: [], keeper: '' };
  if (skipped === undefined) {
    const limitSeconds = HANG_FACTOR * reference.seconds + HANG_SECONDS;
    const hang = new AbortController();
    try {
      await Promise.race([
        carryOut(mesh, scenario, faults, seen, { snapshots: snapshotsIn(folder), reference, say }),
        pause(1000 * limitSeconds, undefined, { signal: hang.signal }).then(() => {
          seen.failure = `the run hangs: it was not over after ${Math.round(limitSeconds)} s, ${reference.seconds.toFixed(0)} s is what it takes without faults`;
        }),
      ]);
    } catch (error) {
      seen.failure = sentence(error);
    } finally {
      hang.abort();
      await mesh.close();
    }
  }
  await etcd?.close();
  disk?.unmount();
  rmSync(folder, { recursive: true, force: true });
  const processes = memory.close();
  const isFailing = scenario.expects.fails !== undefined;
  const { redone, missing } = stepsLost(progress, reference.steps);
  const times = injected.map(({ atMs }) => atMs);
  return {
    scenario: name,
    seed,
    ...(skipped !== undefined && { skipped }),
    faults: injected,
    sameBits: isFailing ? null : seen.weightsSha256 === reference.weightsSha256,
    stepsLost: isFailing ? 0 : redone + missing,
    secondsWithoutProgress: longestGapSeconds(progress, times[0] ?? Number.POSITIVE_INFINITY),
    stepSecondsMedian: reference.stepSecondsMedian,
    stepSecondsMax: reference.stepSecondsMax,
    dip: isFailing ? 0 : dipOf(progress, times, reference.rate),
    memory: processes,
    violations: [
      ...(skipped === undefined ? violationsOf(scenario, faults.length, seen, reference) : []),
      ...processes.flatMap((each) => (isRelieving(each, injected) ? [] : (growthOf(each) ?? []))),
    ],
  };
}

/** Whether a server has taken over what others held that were killed: it grows for good. */
const isRelieving = ({ process }: ProcessMemory, injected: readonly Injected[]): boolean =>
  process.startsWith('server') &&
  injected.some(({ kind, target }) => kind !== 'kill-all' && target.startsWith('server'));

interface Carried {
  snapshots: string;
  reference: Reference;
  say(line: string): void;
}

/** Starts the run, does the faults to it one after another, and waits for its end. */
async function carryOut(
  mesh: MeshRun,
  { expects }: Scenario,
  faults: readonly Fault[],
  seen: Seen,
  { snapshots, reference, say }: Carried,
): Promise<void> {
  await mesh.start();
  seen.keeper = mesh.keeper;
  const done = mesh.event('done');
  // Where faults fail, that is told first.
  done.catch(() => undefined);
  for (const fault of faults) {
    const afterStep = Math.floor(fault.at * reference.stepsPerEpoch);
    await mesh.reached(afterStep);
    const injected = await inject(fault, afterStep, mesh, snapshots);
    seen.injected.push(injected);
    say(`${injected.kind} of ${injected.target} after step ${afterStep}`);
  }
  if (!expects.fails) seen.weightsSha256 = weightsOf(await done);
  const afterRestart = faults.slice(faults.findLastIndex(({ kind }) => kind === 'kill-all') + 1);
  const killed = (role: Role) =>
    afterRestart.flatMap((fault) => (fault.kind === 'kill' && fault.role === role ? [fault.index] : []));
  seen.exits = await mesh.exits('worker', killed('worker'));
  if (expects.fails) await mesh.exits('server', killed('server'));
  if (expects.fenced)
    for (const fault of faults)
      if (fault.kind === 'stop') seen.wokenUp.push(await mesh.child(fault.role, fault.index).exited);
}
