// The binaries as processes, as a person or a script would start them: their events, their last words, and who of
// their family is left. Each is started in a process group of its own, to which all its children belong; so nothing
// survives a test, and what a program leaves behind can be seen.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const MODULES = {
  gradloom: 'deploy/gradloom.js',
  'gradloom-server': 'server/gradloom-server.js',
  'gradloom-worker': 'deploy/gradloom-worker.js',
} as const;
export type Binary = keyof typeof MODULES;

export interface Event {
  event: string;
  [field: string]: unknown;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string[];
  stderr: string[];
}

export interface StartOptions {
  env?: Record<string, string>;
  /** A command that starts the program, e.g. one that puts it into a network namespace. */
  through?: readonly string[];
}

interface Waiter {
  matches(event: Event): boolean;
  resolve(event: Event): void;
  reject(error: Error): void;
}

/** Path of a compiled module of the tests' helpers, e.g. `jobs/small.js`. */
export const helperPath = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

export class Program {
  readonly events: Event[] = [];
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #waiters = new Set<Waiter>();
  readonly #stderr: string[] = [];
  #over = false;

  constructor(binary: Binary, args: readonly string[], { env, through = [] }: StartOptions = {}) {
    this.#name = binary;
    const path = fileURLToPath(new URL(`../../${MODULES[binary]}`, import.meta.url));
    const [command, ...rest] = [...through, process.execPath, path, ...args];
    this.#child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...env },
    });
    const stdout: string[] = [];
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      stdout.push(line);
      if (line.startsWith('{')) this.#tell(JSON.parse(line) as Event);
    });
    createInterface({ input: this.#child.stderr as NodeJS.ReadableStream }).on('line', (line) =>
      this.#stderr.push(line),
    );
    this.ended = new Promise((resolve) =>
      this.#child.on('close', (code, signal) => {
        this.#over = true;
        for (const { reject } of this.#waiters) reject(this.#failure());
        resolve({ code, signal, stdout, stderr: this.#stderr });
      }),
    );
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** The first event of a name, past or to come, that meets the condition; fails when the program ends without it. */
  event(name: string, meets: (event: Event) => boolean = () => true): Promise<Event> {
    const matches = (event: Event) => event.event === name && meets(event);
    const past = this.events.find(matches);
    if (past) return Promise.resolve(past);
    if (this.#over) return Promise.reject(this.#failure());
    return new Promise((resolve, reject) => this.#waiters.add({ matches, resolve, reject }));
  }

  /** Closes the end at which its stdout is read, as `| head` does. */
  stopReading(): void {
    this.#child.stdout?.destroy();
  }

  /** Signals the program alone. */
  signal(name: NodeJS.Signals): void {
    signal(this.pid, name);
  }

  /** Signals the program and all its children, as Ctrl-C on a terminal does. */
  signalAll(name: NodeJS.Signals): void {
    signal(-this.pid, name);
  }

  /** Command lines of the processes of its family that still run, itself included. */
  family(): string[] {
    return processesOfGroup(this.pid);
  }

  #tell(event: Event): void {
    this.events.push(event);
    for (const waiter of this.#waiters) {
      if (!waiter.matches(event)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(event);
    }
  }

  #failure(): Error {
    return new Error(`${this.#name} ended; it said: ${this.#stderr.slice(-3).join(' | ') || 'nothing'}`);
  }
}

/** Starts a binary; whatever it left is killed when the test ends. */
export function start(
  t: ExecutionContext,
  binary: Binary,
  args: readonly string[],
  options?: StartOptions,
): Program {
  const program = new Program(binary, args, options);
  t.teardown(() => signal(-program.pid, 'SIGKILL'));
  return program;
}

/** Runs a binary to its end. */
export function run(
  t: ExecutionContext,
  binary: Binary,
  args: readonly string[],
  options?: StartOptions,
): Promise<Ended> {
  return start(t, binary, args, options).ended;
}

/** Waits until nobody of a program's family is left; after the deadline, those who are. */
export async function left(program: Program, deadlineMs = 10_000): Promise<string[]> {
  const started = Date.now();
  for (;;) {
    const alive = program.family();
    if (alive.length === 0 || Date.now() - started > deadlineMs) return alive;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Signals a process (negative: a group); false where it has ended already. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

function processesOfGroup(group: number): string[] {
  if (!signal(-group, 0)) return [];
  // Where there is no /proc, all that is known is that somebody lives.
  if (process.platform !== 'linux') return [`a process of the group ${group}`];
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const [state, , member] = read(`/proc/${pid}/stat`)
      .replace(/^.*\) /s, '')
      .split(' ');
    // A zombie has ended; an init that does not reap is no fault of ours.
    if (Number(member) !== group || state === 'Z') return [];
    return [`${pid}: ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`];
  });
}

/** A file of /proc; empty where its process has gone meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return '';
  }
}
