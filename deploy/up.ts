// `gradloom up`: starts servers and workers (or peers) on this machine as processes, shows the run, ends them.
// The death of any of them ends all.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../shared/atomic-file.js';
import type { UpOptions } from '../shared/config/commands.js';
import { EXIT, UserError } from '../shared/errors.js';
import { onParentGone, onStopSignal, printEvent } from '../shared/process.js';
import { chooseSnapshot } from '../shared/snapshot/find.js';
import { Display } from '../worker/display/display.js';
import type { TrainEvent } from '../worker/training/events.js';
import { Child, type ChildEvent, type Exit, explain } from './children.js';

/** Options that are not the workers': they belong to the launcher. */
const OWN = new Set(['servers', 'workers', 'peers', 'json', 'config']);
/** What a worker was told that `up` decides anew each time. */
const OF_THE_WORKER = new Set([
  ...['join', 'run', 'metrics', 'insecure', 'json', 'log-level'],
  ...['serve', 'listen', 'advertise', 'memory', 'workers', 'evaluate', 'every'],
]);

/** Flags that repeat a plain configuration. */
function flagsOf(plain: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(plain).flatMap(([flag, value]) => {
    if (OWN.has(flag)) return [];
    if (typeof value === 'boolean') return value ? [`--${flag}`] : [];
    return [`--${flag}=${value}`];
  });
}

/** Makes the run's recorded configuration one that `gradloom up --config` takes. */
async function recordConfig(folder: string, plain: Readonly<Record<string, unknown>>): Promise<void> {
  const file = join(folder, 'config.json');
  const recorded = Object.entries(JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>);
  const kept = Object.fromEntries(recorded.filter(([flag]) => !OF_THE_WORKER.has(flag)));
  const { servers, workers, ...own } = plain;
  const counts = plain.peers === undefined ? { servers, workers } : {};
  await writeFileAtomic(file, [`${JSON.stringify({ ...counts, ...own, ...kept }, null, 2)}\n`]);
}

/** Runs until the training has ended; gives the exit status. Throws UserError or RunError. */
export async function up(options: UpOptions, given: Readonly<Record<string, unknown>>): Promise<number> {
  const children: Child[] = [];
  const display = options.json ? undefined : new Display(process.stdout, false);
  const notice = (text: string) =>
    options.json ? printEvent({ event: 'notice', text }) : display?.show({ event: 'notice', text });
  // One choice for all, looked at to the last byte before anything starts.
  const resume =
    options.resume === undefined
      ? undefined
      : (await chooseSnapshot(options.resume, notice, true)).store.path;
  const plain = resume === undefined ? given : { ...given, resume };
  let results: string | undefined;
  let interrupted = false;
  let closing = false;
  let wake: (() => void) | undefined;
  const interruption = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const interrupt = () => {
    interrupted = true;
    wake?.();
  };
  onStopSignal(interrupt);
  onParentGone(interrupt);
  // The first child is the keeper.
  process.on('SIGUSR2', () => void (children[0]?.running && children[0].process.kill('SIGUSR2')));

  const start = (name: string, module: string, flags: string[], onEvent: (event: ChildEvent) => void) => {
    const child = new Child(name, module, flags, onEvent);
    children.push(child);
    return child;
  };
  /** Starts a process that serves; its address comes with the event that says so. */
  const startServing = (
    name: string,
    module: string,
    flags: string[],
    keeper: string | undefined,
    onEvent: (event: ChildEvent) => string | undefined,
  ) => {
    let ready: (address: string) => void;
    const address = new Promise<string>((resolve) => {
      ready = resolve;
    });
    const all = ['--listen=127.0.0.1:0', '--json', ...flags, ...(keeper ? [`--join=${keeper}`] : [])];
    const child = start(name, module, all, (event) => {
      const found = onEvent(event);
      if (found) ready(found);
    });
    return { child, address };
  };
  const startServer = (index: number, keeper?: string) => {
    const flags = [
      '--log-level=warn',
      `--peer-deadline=${options.peerDeadlineMs / 1000}`,
      ...(options.snapshots === undefined ? [] : [`--snapshots=${options.snapshots}`]),
      ...(resume === undefined ? [] : [`--resume=${resume}`]),
    ];
    return startServing(`server ${index}`, 'server/gradloom-server.js', flags, keeper, (event) => {
      if (options.json) printEvent(event);
      else if (event.event === 'snapshot' || event.event === 'diverged')
        display?.show(event as unknown as TrainEvent);
      return event.event === 'ready' ? (event.address as string) : undefined;
    });
  };
  /** Address of the first server. */
  let mesh: string | undefined;
  const onWorkerEvent = (event: ChildEvent) => {
    if (event.event === 'start' && mesh !== undefined) {
      const text = `mesh    ${mesh}  (npx gradloom status --join ${mesh})`;
      display?.show({ event: 'notice', text });
    }
    if (event.event === 'done') results = event.folder as string;
    if (options.json) printEvent(event);
    else display?.show(event as unknown as TrainEvent);
  };
  const startPeer = (index: number, keeper?: string) => {
    const flags = ['--serve', `--workers=${options.peers}`, ...flagsOf(plain)];
    return startServing(`peer ${index}`, 'deploy/gradloom-worker.js', flags, keeper, (event) => {
      onWorkerEvent(event);
      return event.event === 'serving' ? (event.address as string) : undefined;
    });
  };
  const startWorker = (index: number, keeper: string) => {
    const flags = [`--join=${keeper}`, '--json', `--workers=${options.workers}`, ...flagsOf(plain)];
    return start(`worker ${index}`, 'deploy/gradloom-worker.js', flags, onWorkerEvent);
  };
  const failed = (exit: Exit): never => {
    const error = explain(exit);
    throw exit.code === EXIT.mistake
      ? new UserError(error.message.replace(/^(server|worker|peer) \d+: /, ''))
      : error;
  };
  /** Waits for something of a child, its death, or an interruption. */
  const orEnd = async <T>(child: Child, what: Promise<T>): Promise<T | undefined> =>
    Promise.race([
      what,
      child.exited.then((exit) => (closing ? undefined : failed(exit))),
      interruption.then(() => undefined),
    ]);

  try {
    const [startOne, count] = options.peers ? [startPeer, options.peers] : [startServer, options.servers];
    const keeper = startOne(0);
    const address = await orEnd(keeper.child, keeper.address);
    if (address === undefined) return EXIT.interrupted;
    mesh = address;
    const others = Array.from({ length: count - 1 }, (_, index) => startOne(index + 1, address));
    await Promise.all(others.map(({ child, address }) => orEnd(child, address)));
    if (interrupted) return EXIT.interrupted;

    const serving = [...children];
    const workers = options.peers
      ? serving
      : Array.from({ length: options.workers }, (_, index) => startWorker(index, address));
    // Whoever dies first says why; those that die of it would only repeat it.
    const firstDeath = Promise.race(
      [...new Set([...serving, ...workers])].map(async (child) => {
        const exit = await child.exited;
        const trains = workers.some(({ running }) => running);
        // Where a run cannot go on without a server, its workers say so; the first one keeps the mesh.
        const isServer = serving.indexOf(child) > 0 && !workers.includes(child) && exit.signal !== null;
        const isSpared = trains && (isServer || (options.elastic && !serving.includes(child)));
        if (closing || isSpared || (workers.includes(child) && exit.code === EXIT.done))
          return new Promise<never>(() => undefined);
        return exit;
      }),
    );
    const finished = Promise.all(workers.map(({ exited }) => exited));
    const outcome = await Promise.race([
      finished.then(() => 'finished' as const),
      firstDeath,
      interruption.then(() => 'interrupted' as const),
    ]);
    if (outcome === 'interrupted') return EXIT.interrupted;
    if (outcome !== 'finished') {
      // A lost peer shows in the others first at times: the one that died by itself is the one to name.
      const exits = await Promise.all([
        outcome,
        ...children.filter(({ running }) => !running).map(({ exited }) => exited),
      ]);
      failed(exits.find(({ signal, code }) => signal !== null || code === EXIT.mistake) ?? outcome);
    }
    const exits = await finished;
    const last = exits.find(({ code }) => code !== EXIT.done);
    if (last && exits.every(({ code }) => code !== EXIT.done)) failed(last);
    if (results) await recordConfig(results, plain);
    return EXIT.done;
  } finally {
    closing = true;
    display?.close();
    const workersFirst = [...children].reverse();
    await Promise.all(
      workersFirst.filter(({ name }) => name.startsWith('worker')).map((child) => child.stop()),
    );
    await Promise.all(workersFirst.map((child) => child.stop()));
  }
}
