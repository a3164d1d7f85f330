// Real processes for the benches: a server of the mesh, or any module of ours that says where it listens, and
// what its metrics say.
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, type ChildEvent, explain } from '../../deploy/children.js';
import { parseExposition, type Sample } from '../helpers/exposition.js';

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
): Promise<Started> {
  let child: Child | undefined;
  const ready = await new Promise<ChildEvent>((resolve, reject) => {
    child = new Child(name, module, flags, (event) => {
      if (event.event === 'ready') resolve(event);
      onEvent(event);
    });
    child.exited.then((exit) => reject(explain(exit)));
  });
  return { child: child as Child, ready };
}

/** A server that is the keeper of a mesh of its own. */
export const startServerProcess = (): Promise<Started> =>
  startProcess('server', 'server/gradloom-server.js', ['--listen=127.0.0.1:0', '--json', '--log-level=warn']);

let folders = 0;

/** Path of a folder for results, which is removed when the bench ends, however it ends. */
export function resultsFolder(): string {
  const folder = join(tmpdir(), `gradloom-bench-${process.pid}-${folders++}`);
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
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
