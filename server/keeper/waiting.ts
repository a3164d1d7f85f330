// Whom a run waits for, in one sentence: what `status` and the workers show. Pure: reads, changes nothing. What comes
// first holds up what comes after it.
import { WAITING_NOTICE_MS } from '../../shared/limits.js';
import { median } from '../../shared/outliers.js';
import { stalenessOf } from '../../shared/run/spec.js';
import { shownMs, usually } from '../../shared/usual.js';
import { SERVER_SILENCE_MAX_SECONDS, SILENCE_MAX_SECONDS } from '../slowness.js';
import { isAbsent, NOT_HEARD_OF, type Run, type WorkerEntry } from './run.js';

/** Workers whose whereabouts an error tells; of more it tells how many. */
const NAMED_MAX = 3;

/** Within what whoever waits longer than usual is known to. */
const TELLING_SECONDS = WAITING_NOTICE_MS / 1000;

/** Phases of a worker whose contributions of its step are still to come. */
const BEFORE_EXCHANGE: readonly string[] = ['start', 'evaluate', 'data', 'rows', 'compute'];

/** When workers and servers were heard of, and from when on a wait is worth a word. */
export interface Heard {
  /** Since a worker's last sign of life. */
  secondsSilent(worker: Pick<WorkerEntry, 'connection'>): number;
  /** Ids of the servers whose blocks a worker waits for, as far as is known. */
  missing(worker: Pick<WorkerEntry, 'connection'>): readonly number[];
  /** Since a server's last sign of life. */
  serverSecondsSilent(server: number): number;
  readonly noticeSeconds: number;
}

/** Where nobody knows when: everything is taken for what is. */
const JUST_NOW: Heard = {
  secondsSilent: () => 0,
  missing: () => [],
  serverSecondsSilent: () => 0,
  noticeSeconds: 0,
};

/**
 * Who holds the run up, in one sentence; empty where nobody does.
 * @param servers how many of the mesh may be given shards
 */
export function waiting(run: Run, servers: number, heard: Heard = JUST_NOW): string {
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
  const { number = 0, fromStep = 0 } = run.view ?? {};
  const named = (late: readonly WorkerEntry[]) => late.map((worker) => nameOf(worker, heard)).join('; ');
  // Whoever is in the exchange of the last step under the old view waits for all to be there.
  const atBoundary = run.workers.filter(({ step, phase }) => step + 1 === fromStep && phase === 'exchange');
  const before = run.workers.filter(
    (worker) =>
      worker.view < number &&
      worker.step + 1 < fromStep &&
      atBoundary.some((waiter) => isKnownSince(worker, waiter, heard)),
  );
  if (before.length > 0)
    return `waits at step ${fromStep}, from which view ${number} holds, for ${named(before)}`;
  const waiters = run.workers.filter((worker) => waitSeconds(worker, heard) >= heard.noticeSeconds);
  const late = run.workers.filter((worker) =>
    waiters.some((waiter) => isBehind(run, worker, waiter) && isKnownSince(worker, waiter, heard)),
  );
  if (late.length === 0) return waitingForServers(run, waiters, heard);
  return `waits at step ${Math.min(...late.map(({ step }) => step))} for ${named(late)}`;
}

/** For how long a worker has waited by now for others, as far as is known; less than 0: it does not. */
function waitSeconds({ phase, secondsInPhase, ...worker }: WorkerEntry, heard: Heard): number {
  return phase === 'exchange' || phase === 'evaluate' ? secondsInPhase + heard.secondsSilent(worker) : -1;
}

/** Whether a worker holds another up that is in an exchange or an evaluation, as both were when they were last heard of. */
function isBehind({ spec }: Run, worker: WorkerEntry, waiter: WorkerEntry): boolean {
  if (worker.phase === NOT_HEARD_OF) return false;
  const lead = waiter.step - worker.step;
  const bound = stalenessOf(spec);
  // Whoever is within the bound goes on; only an evaluation waits for everybody.
  if (lead > 0) return lead >= bound || waiter.phase === 'evaluate';
  return lead === 0 && bound === 0 && waiter.phase === 'exchange' && BEFORE_EXCHANGE.includes(worker.phase);
}

/** Heartbeats are of different ages: what a worker did before another began to wait says nothing; that it is silent does. */
function isKnownSince(worker: WorkerEntry, waiter: WorkerEntry, heard: Heard): boolean {
  const silent = heard.secondsSilent(worker);
  return silent <= waitSeconds(waiter, heard) || silent > SILENCE_MAX_SECONDS;
}

function nameOf(worker: WorkerEntry, heard: Heard): string {
  const { rank, label, phase, secondsInPhase } = worker;
  const silent = heard.secondsSilent(worker);
  const where =
    silent > SILENCE_MAX_SECONDS
      ? `not heard of for ${silent.toFixed(1)} s`
      : `in ${phase} for ${secondsInPhase.toFixed(1)} s`;
  return `worker ${rank} (${label}), ${where}`;
}

/**
 * Which servers others wait for within the open step, in one sentence; empty where nobody does. One that waits for
 * another is not who holds the step up, and what one said that is silent by now is no longer known.
 */
function waitingForServers(run: Run, waiters: readonly WorkerEntry[], heard: Heard): string {
  const isSilent = (id: number) => heard.serverSecondsSilent(id) > SERVER_SILENCE_MAX_SECONDS;
  const told = [...run.serverWaits].flatMap(([connection, wait]) => {
    const server = run.servers.find((entry) => entry.connection === connection);
    return server && !isSilent(server.id) ? [{ ...wait, by: server.id }] : [];
  });
  const parts = new Set(told.flatMap(({ servers }) => servers));
  const copies = new Set(told.flatMap((wait) => wait.copies));
  // A server that waits, too, has said so by then.
  const long = waiters.filter((worker) => waitSeconds(worker, heard) > heard.noticeSeconds + TELLING_SECONDS);
  const missing = new Set(long.flatMap((worker) => heard.missing(worker)));
  // Where no server sends any, it is not for a server that they wait, unless that says nothing.
  const someSend = (run.view?.shards ?? []).some(({ primary }) => !missing.has(primary));
  const blocks = new Set([...missing].filter((id) => someSend || isSilent(id)));
  for (const id of [...told.map(({ by }) => by), ...parts, ...copies]) blocks.delete(id);
  const named = (ids: ReadonlySet<number>) =>
    run.servers
      .filter(({ id }) => ids.has(id))
      .map(({ id, address }) => {
        const silence = isSilent(id)
          ? `, not heard of for ${heard.serverSecondsSilent(id).toFixed(1)} s`
          : '';
        return `server ${id} (${address}${silence})`;
      })
      .join(', ');
  const whom = [
    {
      names: named(parts),
      what: (names: string) => `the part of ${names} in what all servers decide together`,
    },
    { names: named(copies), what: (names: string) => `the copy of ${names}` },
    { names: named(blocks), what: (names: string) => `the blocks of ${names}` },
  ].flatMap(({ names, what }) => (names ? [what(names)] : []));
  if (whom.length === 0) return '';
  const waits =
    told.length > 0
      ? told
      : waiters.map((worker) => ({
          step: worker.step,
          seconds: waitSeconds(worker, heard),
          usualSeconds: 0,
        }));
  const longest = waits.reduce((one, other) => (other.seconds > one.seconds ? other : one));
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
