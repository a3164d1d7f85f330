// Real processes for the benches: a server of the mesh, or any module of ours that says where it listens, and
// what its metrics say.
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, type ChildEvent, explain } from '../../deploy/children.js';
import { parseExposition, type Sample } from '../helpers/exposition.js';

/**
 * Messages of a worker after which V8 has compiled what an exchange runs and a round gets no shorter: a run has sent as
 * many within its first seconds, and spends all the others so. (The CPU falls no further long before, but two peers still
 * wait for one another.)
 */
const COMPILED_MESSAGES = 16_000;

/** Rounds that warm up, of so many blocks each. */
export const warmUpRounds = (blocks: number, small: boolean): number =>
  small ? 1 : Math.ceil(COMPILED_MESSAGES / blocks);

/** Rounds that are not counted after others have had their turn: connections and caches are cold by then. */
export const SETTLING_ROUNDS = 5;

/** Processes of stub-node.ts that take their steps together. */
export class StubNodes {
  readonly #nodes: Started[] = [];
  #said: { node: number; event: ChildEvent }[] = [];
  #wake: (() => void) | undefined;

  /** Resolves when the process is ready. Throws RunError if it ends before. */
  async start(flags: readonly string[], through: readonly string[] = []): Promise<Started> {
    const node = this.#nodes.length;
    const onEvent = (event: ChildEvent) => {
      if (event.event !== 'warm' && event.event !== 'rounds') return;
      this.#said.push({ node, event });
      this.#wake?.();
    };
    const started = await startProcess(`node ${node}`, 'test/bench/stub-node.js', flags, onEvent, through);
    this.#nodes.push(started);
    return started;
  }

  /** What each has said of its first rounds. */
  warm(): Promise<ChildEvent[]> {
    return this.#all('warm');
  }

  /** Lets all take so many rounds: what each has said of them. */
  rounds(count: number): Promise<ChildEvent[]> {
    for (const { child } of this.#nodes) child.process.stdin?.write(`${count}\n`);
    return this.#all('rounds');
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map(({ child }) => child.stop()));
  }

  async #all(name: string): Promise<ChildEvent[]> {
    const died = Promise.race(
      this.#nodes.map(({ child }) => child.exited.then((exit) => Promise.reject(explain(exit)))),
    );
    died.catch(() => undefined);
    while (this.#said.filter(({ event }) => event.event === name).length < this.#nodes.length)
      await Promise.race([died, new Promise<void>((resolve) => (this.#wake = resolve))]);
    const events = this.#said.filter(({ event }) => event.event === name).sort((a, b) => a.node - b.node);
    this.#said = this.#said.filter(({ event }) => event.event !== name);
    return events.map(({ event }) => event);
  }
}

export interface Started {
  child: Child;
  ready: ChildEvent;
}

/** Starts a module; resolves at its first `ready` event. Throws RunError if it ends before. */
export async function startProcess(
  name: string,
  module: string,
  flags: readonly string[],
  onEvent: (event: ChildEvent) => void = () => undefined,
  through: readonly string[] = [],
): Promise<Started> {
  let child: Child | undefined;
  const ready = await new Promise<ChildEvent>((resolve, reject) => {
    const tell = (event: ChildEvent) => {
      if (event.event === 'ready') resolve(event);
      onEvent(event);
    };
    child = new Child(name, module, flags, tell, through);
    child.exited.then((exit) => reject(explain(exit)));
  });
  return { child: child as Child, ready };
}

/** A server: the keeper of a mesh of its own, unless `more` says what it joins. */
export const startServerProcess = (more: readonly string[] = []): Promise<Started> =>
  startProcess('server', 'server/gradloom-server.js', [
    '--listen=127.0.0.1:0',
    '--json',
    '--log-level=warn',
    ...more,
  ]);

let results: string | undefined;
let folders = 0;

/** Path of a folder for results, which is removed when the bench ends, however it ends. */
export function resultsFolder(): string {
  if (results === undefined) {
    const all = join(tmpdir(), `gradloom-bench-${process.pid}`);
    process.on('exit', () => rmSync(all, { recursive: true, force: true }));
    results = all;
  }
  return join(results, String(folders++));
}

/** What a process serves under its metrics' address. */
export async function scrape(address: string): Promise<Sample[]> {
  const reply = await fetch(address);
  return parseExposition(await reply.text());
}

/** The sum of the samples of a name, by the value of one label. */
export function byLabel(samples: readonly Sample[], name: string, label: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const sample of samples)
    if (sample.name === name)
      sums.set(sample.labels[label], (sums.get(sample.labels[label]) ?? 0) + sample.value);
  return sums;
}

/** How much each value has grown. */
export function growth(before: Map<string, number>, after: Map<string, number>): Map<string, number> {
  return new Map([...after].map(([key, value]) => [key, value - (before.get(key) ?? 0)]));
}

/** CPU seconds of the process whose metrics these are. */
export const cpuSeconds = (samples: readonly Sample[]): number =>
  samples.find(({ name }) => name === 'process_cpu_seconds_total')?.value ?? Number.NaN;
