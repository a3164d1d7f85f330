// `gradloom why-slow`: who makes the steps of a run long, in which phase, since when, compared with its peers; in one
// sentence. The verdict is the keeper's (server/slowness.ts).
import { status } from '../shared/client/membership.js';
import { placeOf } from '../shared/config/check-place.js';
import type { WhySlowOptions } from '../shared/config/commands.js';
import { UserError } from '../shared/errors.js';
import { STATUS_DEADLINE_MS } from '../shared/limits.js';
import { printEvent } from '../shared/process.js';
import type { RunStatus__Output } from '../shared/rpc/generated/gradloom/v1/RunStatus.js';
import type { Straggler__Output } from '../shared/rpc/generated/gradloom/v1/Straggler.js';

const PHASES = ['data', 'rows', 'compute', 'optimizer', 'encode', 'wait', 'decode'] as const;

const milliseconds = (seconds: number) =>
  `${(1000 * seconds).toLocaleString('en-US', { maximumFractionDigits: seconds < 0.01 ? 1 : 0 })} ms`;
const share = (ratio: number) => `${Math.round(100 * ratio)} %`;

function ofStraggler(
  { role, number, name, phase, waitedShare, ...times }: Straggler__Output,
  at: string,
): string {
  const who = `${role} ${number} (${name})`;
  const since = `since step ${times.fromStep}, for ${times.steps} step${times.steps === 1 ? '' : 's'}`;
  if (phase === 'silent')
    return `${who} is silent: nothing has been heard of it for ${times.seconds.toFixed(1)} s, ${at}; its peers were heard of ${times.peersSeconds.toFixed(1)} s ago`;
  const takes = `takes ${milliseconds(times.seconds)} a step, its peers' median is ${milliseconds(times.peersSeconds)}`;
  if (phase === 'replicate')
    return `${who} is slow: others wait for its copies of their blocks, which ${takes.replace('takes', 'take')}, ${since}; workers wait ${share(waitedShare)} of a step`;
  if (role === 'server')
    return `${who} is slow: until its last block is there it ${takes}, ${since}; workers wait ${share(waitedShare)} of a step`;
  return `${who} is slow: ${phase} ${takes}, ${since}; the others wait for it ${share(waitedShare)} of a step`;
}

/** Mean seconds of a step in each phase, over the workers that have taken one. */
export function phasesOf({ workers }: RunStatus__Output): Map<(typeof PHASES)[number], number> {
  const timed = workers.flatMap(({ times }) => (times && times.steps > 0 ? [times] : []));
  return new Map(
    timed.length === 0
      ? []
      : PHASES.map((phase) => [phase, timed.reduce((sum, times) => sum + times[phase], 0) / timed.length]),
  );
}

/** What to say of a run, in one sentence. */
export function whySlow(run: RunStatus__Output): string {
  const { straggler } = run;
  if (straggler) {
    const own = run.workers.find(({ info }) => info?.rank === straggler.number);
    return ofStraggler(straggler, `in ${own?.phase} at step ${own?.step}`);
  }
  if (run.state !== 'running') return run.waiting || `the run is ${run.state}`;
  const phases = phasesOf(run);
  const step = [...phases.values()].reduce((sum, seconds) => sum + seconds, 0);
  if (step === 0) return 'no step has been timed yet';
  const parts = [...phases]
    .filter(([, seconds]) => seconds >= 0.005 * step)
    .sort(([, a], [, b]) => b - a)
    .map(([phase, seconds]) => `${phase} ${share(seconds / step)}`);
  return `nobody stands out from its peers; a step takes ${milliseconds(step)}: ${parts.join(', ')}`;
}

/** Says it of every run, or of one. Throws RunError where the keeper cannot be reached, UserError where there is no such run. */
export async function showWhySlow(options: WhySlowOptions): Promise<void> {
  const reply = await status(placeOf(options) as string, STATUS_DEADLINE_MS);
  const runs = reply.runs.filter(({ run }) => options.run === undefined || run === options.run);
  if (options.run !== undefined && runs.length === 0)
    throw new UserError(
      `--run: expected a run of the mesh (${reply.runs.map(({ run }) => run).join(', ') || 'there is none'}), got '${options.run}'`,
    );
  if (options.json)
    return printEvent({
      event: 'why-slow',
      runs: runs.map((run) => ({
        run: run.run,
        step: run.step,
        straggler: run.straggler,
        phaseSeconds: Object.fromEntries(phasesOf(run)),
        sentence: whySlow(run),
      })),
    });
  const lines = runs.map((run) => (runs.length > 1 ? `run ${run.run}: ${whySlow(run)}` : whySlow(run)));
  process.stdout.write(`${lines.length > 0 ? lines.join('\n') : 'no run'}\n`);
}
