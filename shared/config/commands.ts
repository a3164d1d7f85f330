// The commands: what each takes from the table of options, its examples, and which contradictions it refuses.
import { UserError } from '../errors.js';
import { checkOptimizer } from './check-optimizer.js';
import { checkListening, checkPlace, checkPlaceSecure, checkSecure, placeOf } from './check-place.js';
import {
  checkBackupWorkers,
  checkBatch,
  checkCodec,
  checkElastic,
  checkLocal,
  checkSnapshots,
  checkStaleness,
} from './check-run.js';
import { required } from './options/kinds.js';
import { OPTIONS } from './options.js';
import { type CommandDefinition, type Compiled, missing, type Picked } from './parse.js';
import type { ProgramDefinition } from './program.js';

const { listen, advertise, join, metrics, memoryBytes, peerDeadlineMs, insecure, json, logLevel, config } =
  OPTIONS;
const { servers, workers, job, data, run, epochs, batch, learningRate, optimizer, codec, consistency } =
  OPTIONS;
const { backend, seed, cache, out, summary, peers, serve, staleness, evaluate, everySteps } = OPTIONS;
const { backupWorkers, localSteps, outerLearningRate, outerMomentum } = OPTIONS;
const { clipNorm, server, gradientLimit, accumulate, replicas, elastic, refusalsLimit } = OPTIONS;
const { etcd, mesh } = OPTIONS;
const { topKPercent, topKWarmupSteps, rounding } = OPTIONS;
const { snapshots, snapshotSteps, snapshotMinutes, snapshotKeep, resume } = OPTIONS;
/** What goes with --snapshots, and what goes on from one. */
const snapshotOptions = { snapshots, snapshotSteps, snapshotMinutes, snapshotKeep, resume };
const { weightDecay, l1, l2, clipValue, schedule, warmupSteps, decaySteps, decayRate, decayEnd, decayPower } =
  OPTIONS;
/** What goes with --optimizer; checked together in check-optimizer.ts. */
const rules = {
  weightDecay,
  l1,
  l2,
  clipValue,
  clipNorm,
  schedule,
  warmupSteps,
  decaySteps,
  decayRate,
  decayEnd,
  decayPower,
};

const define = <P extends Picked>(definition: CommandDefinition<P>): CommandDefinition<P> => definition;

export const UP = define({
  name: 'gradloom up',
  summary: 'Trains on this machine: starts servers and workers, shows the run, ends them.',
  options: {
    servers,
    workers,
    peers,
    job,
    data,
    epochs,
    batch,
    learningRate,
    optimizer,
    ...rules,
    gradientLimit,
    replicas,
    elastic,
    refusalsLimit,
    accumulate,
    codec,
    topKPercent,
    topKWarmupSteps,
    rounding,
    consistency,
    staleness,
    backupWorkers,
    localSteps,
    outerLearningRate,
    outerMomentum,
    backend,
    seed,
    summary,
    out,
    cache,
    ...snapshotOptions,
    peerDeadlineMs,
    json,
    config,
  },
  examples: [
    { line: 'gradloom up', does: 'trains the built-in CNN on generated images with 2 servers and 2 workers' },
    { line: 'gradloom up --data cifar-10-binary.tar.gz --epochs 5', does: 'the same on the real CIFAR-10' },
    {
      line: 'gradloom up --workers 4 --batch 128 --codec bf16 --json',
      does: 'events as JSON lines, for scripts',
    },
    { line: 'gradloom up --peers 2', does: 'nobody in the middle: each process computes and holds a part' },
    {
      line: 'gradloom up --snapshots snapshots/ --resume snapshots/',
      does: 'goes on from the newest snapshot of a run that was killed, and takes further ones',
    },
  ],
  check(options, at, given) {
    if (options.peers !== undefined)
      for (const key of ['servers', 'workers'] as const)
        if (given(key))
          throw new UserError(
            `${at(key)}: expected --servers and --workers, or --peers, got both; each peer is one server and one worker`,
          );
    checkBatch(
      {
        batch: options.batch,
        workers: options.peers ?? options.workers,
        accumulate: options.accumulate,
      },
      at,
      at(options.peers ? 'peers' : 'workers'),
    );
    checkOptimizer(options, at);
    checkCodec(options, at);
    checkStaleness(options, at);
    checkBackupWorkers({ ...options, workers: options.peers ?? options.workers }, at);
    checkLocal(options, at);
    checkElastic(options, at);
    checkSnapshots(options, at);
  },
});

export const STATUS = define({
  name: 'gradloom status',
  summary: 'Shows the servers, workers and runs of a mesh.',
  options: { join, etcd, mesh, json, config },
  examples: [
    { line: 'gradloom status --join 127.0.0.1:50051', does: 'asks the server at that address' },
    { line: 'gradloom status --etcd 10.0.0.1:2379', does: 'asks whoever keeps the mesh that is found there' },
  ],
  check(options, at) {
    checkPlace(options, at);
    if (placeOf(options) === undefined) throw missing(required(join), 'gradloom status');
  },
});

export const WHY_SLOW = define({
  name: 'gradloom why-slow',
  summary: 'Says which worker or server makes the steps of a run long, and in which phase.',
  options: { join, etcd, mesh, run, json, config },
  examples: [
    {
      line: 'gradloom why-slow --join 127.0.0.1:50051',
      does: 'compares workers and servers with their peers',
    },
  ],
  check(options, at) {
    checkPlace(options, at);
    if (placeOf(options) === undefined) throw missing(required(join), 'gradloom why-slow');
  },
});

export const SET = define({
  name: 'gradloom set',
  summary: 'Changes a running run, at a step boundary: gradloom set consistency bsp|ssp|asp.',
  setting: 'consistency',
  options: {
    consistency: required(consistency),
    staleness,
    join,
    etcd,
    mesh,
    run,
    peerDeadlineMs,
    json,
    config,
  },
  examples: [
    {
      line: 'gradloom set consistency ssp --staleness 3 --join 127.0.0.1:50051',
      does: 'from the next step on no worker is held up by one that is at most 3 steps behind',
    },
    {
      line: 'gradloom set consistency bsp --join 127.0.0.1:50051 --run cifar10-a',
      does: 'all workers of that run do every step together again',
    },
  ],
  check(options, at) {
    checkStaleness(options, at);
    checkPlace(options, at);
    if (placeOf(options) === undefined) throw missing(required(join), 'gradloom set');
  },
});

export const DRAIN = define({
  name: 'gradloom drain',
  summary: 'Empties a server while runs go on: others take over what it holds, then it ends.',
  options: { server: required(server), join, etcd, mesh, json, config },
  examples: [
    {
      line: 'gradloom drain --server 2 --join 127.0.0.1:50051',
      does: 'server 2, as gradloom status has it, can be taken away without the run noticing',
    },
  ],
  check(options, at) {
    checkPlace(options, at);
    if (placeOf(options) === undefined) throw missing(required(join), 'gradloom drain');
  },
});

export const SERVER = define({
  name: 'gradloom-server',
  summary: 'Holds a part of the model and runs the optimizer on it.',
  options: {
    listen,
    advertise,
    join,
    etcd,
    mesh,
    metrics,
    memoryBytes,
    snapshots,
    resume,
    peerDeadlineMs,
    insecure,
    json,
    logLevel,
    config,
  },
  examples: [
    { line: 'gradloom-server', does: 'the first server, for workers on this machine' },
    {
      line: 'gradloom-server --listen 0.0.0.0:50051 --advertise 10.0.0.1:50051 --insecure',
      does: 'the first server, for a network that is trusted',
    },
    {
      line: 'gradloom-server --listen 10.0.0.2:50051 --join 10.0.0.1:50051 --insecure',
      does: 'a second one, on another host',
    },
    {
      line: 'gradloom-server --listen 10.0.0.2:50051 --etcd 10.0.0.7:2379 --insecure',
      does: 'one of several that are all alike: another keeps the mesh when the one that does so dies',
    },
  ],
  check(options, at) {
    checkPlace(options, at);
    checkListening(options, at);
    checkSecure(options.metrics, options.insecure, at('metrics'), 'listening on');
    checkPlaceSecure(options, at);
  },
});

export const WORKER = define({
  name: 'gradloom-worker',
  summary: 'Computes gradients of a job on its part of the data.',
  options: {
    join,
    etcd,
    mesh,
    evaluate,
    everySteps,
    serve,
    listen,
    advertise,
    memoryBytes,
    job,
    data,
    workers,
    run,
    epochs,
    batch,
    learningRate,
    optimizer,
    ...rules,
    gradientLimit,
    replicas,
    elastic,
    refusalsLimit,
    accumulate,
    codec,
    topKPercent,
    topKWarmupSteps,
    rounding,
    consistency,
    staleness,
    backupWorkers,
    localSteps,
    outerLearningRate,
    outerMomentum,
    backend,
    seed,
    cache,
    out,
    summary,
    ...snapshotOptions,
    metrics,
    peerDeadlineMs,
    insecure,
    json,
    logLevel,
    config,
  },
  examples: [
    { line: 'gradloom-worker --join 127.0.0.1:50051 --workers 1', does: 'a run with one worker' },
    {
      line: 'gradloom-worker --join 10.0.0.1:50051 --workers 2 --data cifar-10-binary.tar.gz --insecure',
      does: 'one of two; start the same on the other host, and the run begins',
    },
    {
      line: 'gradloom-worker --serve --listen 10.0.0.1:50051 --workers 2 --insecure',
      does: 'the first of two peers, which holds half of the model and computes; the other adds --join',
    },
    {
      line: 'gradloom-worker --join 127.0.0.1:50051 --evaluate --every 50',
      does: 'tells how good the model is while others train it, without slowing them',
    },
  ],
  check(options, at, given) {
    if (options.evaluate && options.serve)
      throw new UserError(`${at('serve')}: an evaluator holds no part of the model; give one of the two`);
    if (!options.evaluate && given('everySteps'))
      throw new UserError(
        `${at('everySteps')}: expected with --evaluate, got it without; add it, or leave this out`,
      );
    checkPlace(options, at);
    if (options.serve) checkListening(options, at);
    else {
      if (placeOf(options) === undefined) throw missing(required(join), 'gradloom-worker');
      for (const key of ['listen', 'advertise', 'memoryBytes'] as const)
        if (given(key))
          throw new UserError(`${at(key)}: only a worker that serves has it; add --serve, or leave it out`);
    }
    checkBatch(options, at, at('workers'));
    checkOptimizer(options, at);
    checkCodec(options, at);
    checkStaleness(options, at);
    checkBackupWorkers(options, at);
    checkLocal(options, at);
    checkElastic(options, at);
    checkSnapshots(options, at);
    if (options.evaluate && (options.snapshots ?? options.resume) !== undefined)
      throw new UserError(
        `${at(options.snapshots === undefined ? 'resume' : 'snapshots')}: an evaluator only reads a run; leave it out`,
      );
    checkPlaceSecure(options, at);
    checkSecure(options.metrics, options.insecure, at('metrics'), 'listening on');
  },
});

/** The binary `gradloom`. */
export const GRADLOOM = {
  name: 'gradloom',
  summary: 'Trains TensorFlow.js models on many machines.',
  commands: { up: UP, status: STATUS, 'why-slow': WHY_SLOW, set: SET, drain: DRAIN },
} satisfies ProgramDefinition<{
  up: typeof UP;
  status: typeof STATUS;
  'why-slow': typeof WHY_SLOW;
  set: typeof SET;
  drain: typeof DRAIN;
}>;

export type UpOptions = Compiled<typeof UP.options>;
export type DrainOptions = Compiled<typeof DRAIN.options>;
export type SetOptions = Compiled<typeof SET.options>;
export type WhySlowOptions = Compiled<typeof WHY_SLOW.options>;
export type StatusOptions = Compiled<typeof STATUS.options>;
export type ServerOptions = Compiled<typeof SERVER.options>;
export type WorkerOptions = Compiled<typeof WORKER.options>;
