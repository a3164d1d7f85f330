// `gradloom status`: what goes on in a mesh, in a few lines.

import { status } from '../shared/client/membership.js';
import { placeOf } from '../shared/config/check-place.js';
import type { StatusOptions } from '../shared/config/commands.js';
import { STATUS_DEADLINE_MS } from '../shared/limits.js';
import { printEvent } from '../shared/process.js';
import type { RunStatus__Output } from '../shared/rpc/generated/gradloom/v1/RunStatus.js';
import { consistencyOf } from '../shared/run/spec.js';
import { shownMs, usually } from '../shared/usual.js';
import { size } from '../worker/display/format.js';

/** What a step usually takes, and so how long one may take before it is told who is waited for. */
function paceOf({ usualStepSeconds, noticeSeconds }: RunStatus__Output): string {
  if (noticeSeconds === 0) return '';
  return `  ${usually('a step', { medianMs: 1000 * usualStepSeconds })}, who holds it up is named after ${shownMs(1000 * noticeSeconds)}`;
}

function rulesOf({ view, fromStep, consistency, staleness }: RunStatus__Output): string {
  const name = consistencyOf(consistency);
  const bound = name === 'ssp' ? `, staleness ${staleness}` : '';
  return `${name}${bound}${view > 1 ? ` since step ${fromStep} (view ${view})` : ''}`;
}

/** Which servers hold the parts of the model, where more than one may. */
function copiesOf({ shards }: RunStatus__Output): string[] {
  if (shards.every(({ backups, joining }) => backups.length + joining.length === 0)) return [];
  return shards.map(({ primary, backups, joining }, shard) => {
    const copies = [
      ...backups.map((server) => `a copy on server ${server}`),
      ...joining.map((server) => `server ${server} is being made a copy`),
    ];
    return `shard ${shard}  on server ${primary}, ${copies.join(', ') || 'no copy'}`;
  });
}

/** What to say of copies that were not what they should have been: a line, or none. */
export function divergencesOf({ divergences, lastDivergence: last }: RunStatus__Output): string[] {
  if (!last) return [];
  const what = divergences === 1 ? 'block of a copy differed and was' : 'blocks of copies differed and were';
  return [
    `${divergences} ${what} sent again; the last: block ${last.block} of shard ${last.shard} on server ${last.server}, after ${last.version} updates`,
  ];
}

/** Prints the state of the mesh. Throws RunError where its keeper cannot be reached. */
export async function showStatus(options: StatusOptions): Promise<void> {
  const reply = await status(placeOf(options) as string, STATUS_DEADLINE_MS);
  if (options.json) return printEvent({ event: 'status', ...reply });
  const lines = reply.servers.map(
    ({ info, label, memoryBytes }) =>
      `server ${info?.id}  ${info?.address}  ${label}  ${size(memoryBytes)} for shards`,
  );
  for (const run of reply.runs) {
    lines.push(
      `run ${run.run}  ${run.job}  ${run.state}  ${rulesOf(run)}  step ${run.step} of ${run.steps}${paceOf(run)}${run.waiting ? `  ${run.waiting}` : ''}`,
    );
    for (const line of [...copiesOf(run), ...divergencesOf(run)]) lines.push(`  ${line}`);
    if (run.snapshot) lines.push(`  newest snapshot of step ${run.snapshotStep}  ${run.snapshot}`);
    for (const { info, step, phase, secondsInPhase } of run.workers)
      lines.push(
        run.state === 'running'
          ? `  worker ${info?.rank}  ${info?.label}  step ${step}  ${phase} for ${secondsInPhase.toFixed(1)} s`
          : `  worker ${info?.rank}  ${info?.label}  has joined`,
      );
  }
  if (reply.runs.length === 0) lines.push('no run');
  process.stdout.write(`${lines.join('\n')}\n`);
}
