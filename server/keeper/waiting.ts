// Whom a run waits for, in one sentence: what `status` and the workers show. Pure: reads, changes nothing. What comes
// first holds up what comes after it.
import { median } from '../../shared/outliers.js';
import { stalenessOf } from '../../shared/run/spec.js';
import { shownMs, usually } from '../../shared/usual.js';
import type { ServerWait } from '../server-waits.js';
import { isAbsent, NOT_HEARD_OF, type Run, type WorkerEntry } from './run.js';

/** Workers whose whereabouts an error tells; of more it tells how many. */
const NAMED_MAX = 3;

/**
 * Who holds the run up, in one sentence; empty where nobody does.
 * @param servers how many of the mesh may be given shards
 */
export function waiting(run: Run, servers: number): string {
  const absent = [
    ...run.servers.filter(isAbsent).map(({ id, address }) => `server ${id} (${address})`),
    ...run.workers
      .filter((worker) => isAbsent(worker) && !worker.done)
      .map(({ rank, label }) => `worker ${rank} (${label})`),
  ];
  if (absent.length > 0) return `waits for ${absent.join(', ')} to come back after the change of keeper`;
  if (run.state === 'gathering') {
    const missing = run.spec.workers - run.workers.length;
    if (missing > 0) return `waits for ${missing} more of ${run.spec.workers} workers`;
    return servers === 0 ? 'waits for a server' : '';
  }
  const joining = (run.view?.shards ?? []).flatMap((copies, shard) =>
    copies.joining.map((server) => `that of shard ${shard} on server ${server}`),
  );
  if (run.state === 'preparing' && joining.length > 0) return `waits for copies: ${joining.join(', ')}`;
  if (run.state === 'preparing')
    return `waits for the shards of ${run.servers
      .filter(({ connection }) => !run.prepared.has(connection))
      .map(({ address }) => address)
      .join(', ')}`;
  if (run.evaluation.size > 0) {
    const missing = run.workers.filter(({ rank }) => !run.evaluation.has(rank));
    return `waits at step ${run.evaluationStep} for the evaluation of ${missing.map(({ rank, label }) => `worker ${rank} (${label})`).join(', ')}`;
  }
  if (run.change) {
    const missing = new Set(run.change.missing());
    const names = [
      ...run.workers.map((worker) => ({ ...worker, name: `worker ${worker.rank} (${worker.label})` })),
      ...run.servers.map((server) => ({ ...server, name: `server ${server.id} (${server.address})` })),
    ].flatMap(({ connection, name }) => (missing.has(connection) ? [name] : []));
    return `waits for the answer of ${names.join(', ')} to view ${run.change.proposed.number}`;
  }
  const last = Math.min(...run.workers.map(({ step }) => step));
  const { number = 0, fromStep = 0 } = run.view ?? {};
  const before = run.workers.filter(({ view, step }) => view < number && step + 1 < fromStep);
  // Whoever is in the exchange of the last step under the old view waits for all to be there.
  if (
    before.length > 0 &&
    run.workers.some(({ step, phase }) => step + 1 === fromStep && phase === 'exchange')
  )
    return `waits at step ${fromStep}, from which view ${number} holds, for ${before.map(({ rank, label, phase, secondsInPhase }) => `worker ${rank} (${label}), in ${phase} for ${secondsInPhase.toFixed(1)} s`).join('; ')}`;
  const late = run.workers.filter(({ step }) => step === last);
  if (late.length === run.workers.length) return waitingForServers(run);
  // Within a round of `local` each goes its own way: who waits is ahead, and in the exchange.
  const someoneWaits = run.workers.some(({ step, phase }) => step > last && phase === 'exchange');
  if (run.spec.local && !someoneWaits) return '';
  const lead = Math.max(...run.workers.map(({ step }) => step)) - last;
  // Whoever is within the bound goes on; only an evaluation waits for everybody.
  if (lead < stalenessOf(run.spec) && run.workers.every(({ phase }) => phase !== 'evaluate')) return '';
  return `waits at step ${last} for ${late.map(({ rank, label, phase, secondsInPhase }) => `worker ${rank} (${label}), in ${phase} for ${secondsInPhase.toFixed(1)} s`).join('; ')}`;
}

/** Which servers others wait for within the open step, in one sentence; empty where nobody does. */
function waitingForServers({ servers, serverWaits }: Run): string {
  const waits = [...serverWaits.values()];
  if (waits.length === 0) return '';
  const named = (of: (wait: ServerWait) => readonly number[]) =>
    servers
      .filter(({ id }) => waits.some((wait) => of(wait).includes(id)))
      .map(({ id, address }) => `server ${id} (${address})`)
      .join(', ');
  const parts = named((wait) => wait.servers);
  const copies = named((wait) => wait.copies);
  const longest = waits.reduce((one, other) => (other.seconds > one.seconds ? other : one));
  const whom = [
    ...(parts ? [`the part of ${parts} in what all servers decide together`] : []),
    ...(copies ? [`the copy of ${copies}`] : []),
  ];
  const usual = longest.usualSeconds > 0 ? `, usually ${shownMs(1000 * longest.usualSeconds)}` : '';
  return `waits at step ${longest.step} for ${whom.join(' and ')}, for ${longest.seconds.toFixed(1)} s${usual}`;
}

/** Where workers were when they were last heard of, compared with what a step takes them: for the error of a run that ends. */
export function whereabouts(workers: readonly WorkerEntry[]): string {
  const told = workers.filter(({ phase, done }) => phase !== NOT_HEARD_OF && !done);
  if (told.length === 0) return '';
  const named = told
    .slice(0, NAMED_MAX)
    .map(
      ({ rank, phase, secondsInPhase }) =>
        `worker ${rank} was in ${phase} for ${secondsInPhase.toFixed(1)} s`,
    );
  const more = told.length > NAMED_MAX ? [`${told.length - NAMED_MAX} more`] : [];
  const steps = told.flatMap(({ stepSeconds }) => stepSeconds ?? []);
  const medianMs = steps.length > 0 ? 1000 * median(steps) : undefined;
  return `; ${[...named, ...more].join(', ')}; ${usually('a step', { medianMs })}`;
}
