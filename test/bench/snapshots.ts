// What snapshots take, and what they save: the main job writes one every few steps and is killed with kill -9, all its
// processes at once, at random moments, again and again; each time it goes on from the newest whole one. `written` is
// the time from a cut to the manifest, `gap` that from a kill to the first step that was not there before, start of all
// processes included, `redone` the steps that had to be done again. Fails where a kill leaves nothing to go on from.
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { keyedRandom } from '../../shared/random.js';
import { type Event, Program, signal } from '../helpers/processes.js';
import { resultsFolder } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

export interface SnapshotsBenchOptions extends BenchOptions {
  /** How often the run is killed. */
  kills?: number;
  /** Steps from one snapshot to the next. */
  steps?: number;
  /** Further flags of `up`. */
  flags?: readonly string[];
}

const MiB = 2 ** 20;
/** The longest that a run is left alone after its first new snapshot. */
const MOMENT_MS = 5_000;

/** Runs the bench; `small` only shows that it works. */
export async function run(options: SnapshotsBenchOptions): Promise<Result[]> {
  const { kills = options.small ? 1 : 10, steps = options.small ? 2 : 20 } = options;
  const series = new Series('snapshots');
  const random = keyedRandom(1, 'kills');
  const folder = resultsFolder();
  const snapshots = join(folder, 'snapshots');
  const flags = [
    'up',
    '--json',
    '--epochs=100000',
    `--out=${join(folder, 'runs')}`,
    `--snapshots=${snapshots}`,
    `--snapshot-steps=${steps}`,
  ];
  let reached = 0;
  let killedAt = 0;
  for (let kill = 0; kill <= kills * options.repeats; kill++) {
    const resume = kill > 0 ? [`--resume=${snapshots}`] : [];
    const up = new Program('gradloom', [...flags, ...(options.flags ?? []), ...resume]);
    try {
      const { fromStep } = (await up.event('start')) as Event & { fromStep: number };
      if (kill > 0) {
        series.add('kill', 'redone', 'steps', reached - fromStep);
        await up.event('step', ({ step }) => (step as number) > reached);
        series.add('kill', 'gap', 's', (performance.now() - killedAt) / 1000);
      }
      const { step } = await up.event('snapshot', ({ failure }) => failure === undefined);
      await pause(random.below(options.small ? 1 : MOMENT_MS));
      const told = up.events.filter(({ event, failure }) => event === 'snapshot' && failure === undefined);
      for (const snapshot of told) {
        series.add('snapshot', 'written', 's', snapshot.seconds as number);
        series.add('snapshot', 'size', 'MiB', (snapshot.bytes as number) / MiB);
      }
      reached = Math.max(
        step as number,
        ...up.events.flatMap((each) => (each.event === 'step' ? [each.step as number] : [])),
      );
    } finally {
      signal(-up.pid, 'SIGKILL');
      killedAt = performance.now();
      await up.ended;
    }
  }
  return series.results();
}
