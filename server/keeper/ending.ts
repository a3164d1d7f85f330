// The end of a run: whoever took part in it is told how it ended, as is whoever comes back too late to hear it, and a
// change that was on its way is refused.
import { RUNS_MAX } from '../../shared/limits.js';
import { refuse } from '../../shared/rpc/refusal.js';
import { emptied } from './draining.js';
import type { Members } from './members.js';
import { type Order, type Run, toWorkers } from './run.js';

/** Ends a run whose workers are all done. */
export function endIfDone(members: Members, run: Run): Order[] {
  return run.workers.every(({ done }) => done) ? end(members, run, false, 'done') : [];
}

/** Ends a run, well or not. */
export function end(members: Members, run: Run, failed: boolean, reason: string): Order[] {
  members.runs.delete(run.id);
  for (const { connection } of run.workers) members.runOfWorker.delete(connection);
  const ended = {
    failed,
    reason,
    bytesPushed: run.workers.reduce((sum, worker) => sum + worker.bytesPushed, 0),
    bytesPulled: run.workers.reduce((sum, worker) => sum + worker.bytesPulled, 0),
    bytesRetried: run.workers.reduce((sum, worker) => sum + worker.bytesRetried, 0),
  };
  members.ended.delete(run.id);
  members.ended.set(run.id, { run: run.id, ...ended });
  for (const id of [...members.ended.keys()].slice(0, -RUNS_MAX)) members.ended.delete(id);
  const { change } = run;
  const refusal = refuse('NOT_NOW', `nothing was changed: the run has ended (${reason})`).toMessage();
  return [
    ...toWorkers(run, { ended }),
    ...(change ? [{ to: 'caller', connection: change.call, order: { run: run.id, refusal } } as const] : []),
    ...run.servers.map(
      ({ connection }): Order => ({ to: 'server', connection, order: { end: { run: run.id, reason } } }),
    ),
    ...emptied(members),
  ];
}
