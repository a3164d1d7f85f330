// What every binary does alike: one line and an exit status for an expected failure, a log that goes to stderr,
// events as JSON lines on stdout, and an orderly stop on SIGINT and SIGTERM.
import { setFlagsFromString } from 'node:v8';
import { pino } from 'pino';
import { EXIT, isExpected, sentence } from './errors.js';

/** One event as a JSON line on stdout: what scripts read under --json. */
export function printEvent(event: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/**
 * Sets V8 up for a process that moves bulk on its main thread; to be called first of all. Node gives each piece that a
 * socket reads fresh memory outside the heap, which counts as heap until its handle is collected. So the space of the
 * young stays at its first size, 1 MiB, and is collected about once a step, which frees that memory; and the old
 * space, a few MiB here, may grow fivefold before it is looked through. Without this V8 does so twice a step, which
 * takes a third of an exchange.
 */
export function collectForBulk(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  collectSeldom();
}

/**
 * The old space's half of it, for a process whose exchange thread moves bulk: that thread's young space is bounded by
 * itself (EXCHANGE_YOUNG_MAX_MIB), and that of the compute thread is better left to grow.
 */
export function collectSeldom(): void {
  setFlagsFromString('--heap-growing-percent=400');
}

/** A log on stderr, as JSON lines. */
export function createLog(level: string) {
  return pino(
    { level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** Ends the process as the error deserves: one line for an expected one, the stack for a bug of ours. */
export function fail(error: unknown, name: string): never {
  if (isExpected(error)) {
    process.stderr.write(`${name}: ${sentence(error)}\n`);
    process.exit(error.exitStatus);
  }
  process.stderr.write(
    `${name}: a bug of ours, please report it: ${error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exit(EXIT.failed);
}

// Whoever reads the output may go away (`| head`). That is no bug: with nobody to tell, the process ends, in the same
// orderly way as at a signal where there is one.
let outputLost = (): void => process.exit(EXIT.failed);
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`gradloom: cannot write to stdout: ${error.message}\n`);
  outputLost();
});

/**
 * Calls `stop` once, at the first SIGINT or SIGTERM, or (SIGPIPE) when nobody reads stdout any more; a second signal
 * ends the process at once.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): void {
  let stopping = false;
  outputLost = () => {
    if (stopping) return;
    stopping = true;
    stop('SIGPIPE');
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(EXIT.interrupted);
      stopping = true;
      stop(signal);
    });
  }
}

/**
 * Calls `stop` when the parent that holds the other end of stdin goes away, so that no child outlives its launcher.
 * Only where the launcher asked for it.
 */
export function onParentGone(stop: () => void): void {
  if (process.env.GRADLOOM_CHILD !== '1') return;
  process.stdin.resume();
  process.stdin.on('end', stop);
  process.stdin.on('error', stop);
}
