// The processes that a launcher starts and ends: their JSON lines, their last words, and the certainty that none
// outlives it. A child holds the other end of a pipe as stdin; when the launcher dies, however, the pipe closes.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withoutOptions } from '../shared/config/parse.js';
import { RunError } from '../shared/errors.js';
import { CHILD_LAST_WORDS_MAX, CHILD_STOP_MS } from '../shared/limits.js';

export interface ChildEvent {
  event: string;
  [field: string]: unknown;
}

export interface Exit {
  name: string;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Its last lines on stderr that were meant for a person. */
  lastWords: string[];
}

/**
 * glibc gives memory that is freed at the top of its heap back to the kernel at once, and Node frees the buffer of each
 * 64 KiB that a socket reads: the kernel then clears the same pages again and again, which takes a third of a push.
 * With these it keeps up to 1 GiB. Other allocators do not read them; what the user has set stands.
 */
const MALLOC = { MALLOC_TRIM_THRESHOLD_: '1073741824', MALLOC_MMAP_THRESHOLD_: '1073741824' };

export class Child {
  readonly process: ChildProcess;
  readonly exited: Promise<Exit>;
  readonly #lastWords: string[] = [];

  /** @param module path of the binary, relative to the root of the compiled tree */
  constructor(
    readonly name: string,
    module: string,
    flags: readonly string[],
    onEvent: (event: ChildEvent) => void,
    /** A command that starts it, such as one that puts it on another network. */
    through: readonly string[] = [],
  ) {
    const path = fileURLToPath(new URL(`../${module}`, import.meta.url));
    const [command, ...rest] = [...through, process.execPath, path, ...flags];
    this.process = spawn(command, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...MALLOC, ...withoutOptions(process.env), GRADLOOM_CHILD: '1' },
    });
    // A child that dies closes its end; what is left to say to it is of no use.
    this.process.stdin?.on('error', () => undefined);
    createInterface({ input: this.process.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (line.startsWith('{')) onEvent(JSON.parse(line) as ChildEvent);
    });
    createInterface({ input: this.process.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      this.#lastWords.push(line);
      if (this.#lastWords.length > CHILD_LAST_WORDS_MAX) this.#lastWords.shift();
    });
    this.exited = new Promise((resolve) => {
      const done = (code: number | null, signal: NodeJS.Signals | null) =>
        resolve({ name, code, signal, lastWords: this.#lastWords.filter((line) => !line.startsWith('{')) });
      this.process.on('close', done);
      this.process.on('error', (error) => {
        this.#lastWords.push(error.message);
        done(null, null);
      });
    });
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Asks it to end, and kills it if it does not. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.running) this.process.kill(signal);
    const kill = setTimeout(() => this.process.kill('SIGKILL'), CHILD_STOP_MS);
    const exit = await this.exited;
    clearTimeout(kill);
    return exit;
  }
}

/** What a person is told of a child that ended when it should not have. */
export function explain(exit: Exit): RunError {
  // Our own last line, or where a bug showed a stack, the error at its head.
  const line =
    exit.lastWords.findLast((text) => text.startsWith('gradloom')) ??
    exit.lastWords.find((text) => /Error/.test(text)) ??
    exit.lastWords.at(-1);
  const words = line?.replace(/^gradloom-(server|worker): /, '');
  const how = exit.signal ? `was ended by ${exit.signal}` : `ended with status ${exit.code}`;
  return new RunError(words ? `${exit.name}: ${words}` : `${exit.name} ${how} without a word`);
}
