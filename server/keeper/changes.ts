// The next view of a run that is running: other rules that somebody asked for, or fewer workers because one has left.
// Workers are held, servers fence off whoever has left, every server takes the view, then it holds for all. The answers
// are counted in view-change.ts; here is what follows from them.
import { refuse } from '../../shared/rpc/refusal.js';
import { rulesToWire, specUnder, specWithRules } from '../../shared/run/rules.js';
import { type Fenced, type Leaving, ViewChange } from '../view-change.js';
import { emptied } from './draining.js';
import { end } from './ending.js';
import { askedAgain } from './evaluations.js';
import type { Members } from './members.js';
import { recopied } from './placing.js';
import {
  isBetweenViews,
  nextNumber,
  type Order,
  type PlacedRun,
  type Run,
  stepOf,
  toServers,
  toWorkers,
  type WorkerEntry,
} from './run.js';
import { waiting, whereabouts } from './waiting.js';

/** Begins a change of a run's consistency; the call is answered when it is decided from which step. Throws Refused. */
export function changeRequested(
  members: Members,
  run: PlacedRun,
  call: number,
  rules: { consistency: number; staleness: number },
): Order[] {
  const spec = specWithRules(run.spec, rules);
  if (members.recovering)
    throw refuse(
      'NOT_NOW',
      `expected a mesh that is whole, got one whose keeper has just changed: the run ${waiting(run, members.servers.size)}; try again then`,
    );
  const { number } = run.view;
  const late = run.workers.find(({ view }) => view < number);
  if (run.change || late)
    throw refuse(
      'NOT_NOW',
      `expected one change at a time, got another ${run.change ? `while view ${run.change.proposed.number} is on its way` : `before worker ${late?.rank} has reached step ${run.view.fromStep}, from which view ${number} holds`}; try again then`,
    );
  if (run.workers.some(({ done }) => done))
    throw refuse(
      'NOT_NOW',
      'expected a run that goes on, this one ends; change the rules of another, or start one with them',
    );
  const next = nextNumber(run);
  run.change = new ViewChange(
    { ...run.view, number: next, ...rulesToWire(spec) },
    call,
    run.workers.map(({ connection }) => connection),
    run.servers.map(({ connection }) => connection),
  );
  return toWorkers(run, { hold: { number: next } });
}

/** A worker goes no further than to the step that is next for it. Throws Refused. */
export function workerHeld(
  members: Members,
  connection: number,
  { number, step }: { number: number; step: number },
): Order[] {
  const run = members.runOfWorker.get(connection);
  if (!run?.change?.held(connection, number, step)) return [];
  const { leaving, view } = run.change;
  if (leaving || !view) return toServers(run, { fence: { run: run.id, number, rank: leaving?.rank } });
  const steps = run.spec.epochs * run.spec.stepsPerEpoch;
  if (steps > 0 && Number(view.fromStep) >= steps)
    return cancel(members, run, run.change, `the run has only ${steps} steps, which are all under way`);
  return toServers(run, { change: { run: run.id, view } });
}

/** A server takes nothing more of the worker that has left; when all do, it is decided where to go on. */
export function serverFenced(
  members: Members,
  connection: number,
  runId: string,
  { number, initialized, ...fenced }: Fenced & { number: number; initialized: boolean },
): Order[] {
  const run = members.runs.get(runId);
  const { leaving } = run?.change ?? {};
  if (run && leaving?.rank === 0 && !initialized)
    return end(
      members,
      run,
      true,
      `worker 0 (${leaving.label}) is gone before it had given the initial values: ${leaving.reason}`,
    );
  if (!run?.change?.fenced(connection, number, fenced)) return [];
  return toServers(run, { change: { run: run.id, view: run.change.view } });
}

/** A server will change; when all will, the workers are told. */
export function serverTaken(members: Members, connection: number, runId: string, number: number): Order[] {
  const run = members.runs.get(runId);
  const { change } = run ?? {};
  return run && change?.view && change.taken(connection, number) ? allTaken(members, run, change) : [];
}

/** The view holds: the workers are told, and whoever asked for it is answered. */
export function allTaken(members: Members, run: Run, change: ViewChange): Order[] {
  // Who holds the shards may have changed meanwhile.
  const { servers, shards = [], term } = run.view as NonNullable<Run['view']>;
  run.view = { ...change.view, servers, shards, term } as Run['view'];
  run.spec = specUnder(run.spec, change.view as { consistency: number });
  run.change = undefined;
  run.lastLeaving = change.leaving;
  const orders = recopied(members, run);
  orders.push(...toWorkers(run, { view: run.view }), ...emptied(members));
  if (!change.leaving) {
    const answer = { run: run.id, view: run.view };
    return [...orders, { to: 'caller', connection: change.call, order: answer }];
  }
  return [...orders, ...askedAgain(run)];
}

/** A worker has left a running run: with `elastic` the others go on without it, else the run ends. */
export function depart(
  members: Members,
  run: Run,
  worker: WorkerEntry,
  reason: string,
  putOut = false,
): Order[] {
  const { rank, label } = worker;
  const gone = `worker ${rank} (${label}) is gone at step ${stepOf(run)}: ${reason}${run.state === 'running' ? whereabouts([worker]) : ''}`;
  const { number } = run.view as { number: number };
  const others = run.workers.filter((entry) => entry !== worker);
  if (!run.spec.elastic || others.length === 0 || run.state !== 'running')
    return end(members, run, true, gone);
  const late = run.workers.find(({ view }) => view < number);
  if (run.change || late)
    return end(members, run, true, `${gone}; the run has not yet got over the leaving of another worker`);
  run.workers.splice(0, run.workers.length, ...others);
  // Nobody is left who could go on: all that is to be trained is.
  if (others.every(({ done }) => done)) return end(members, run, false, 'done');
  const next = nextNumber(run);
  const view = {
    ...run.view,
    number: next,
    workers: others.map((each) => ({ rank: each.rank, label: each.label })),
  };
  run.change = new ViewChange(
    view,
    0,
    others.map(({ connection }) => connection),
    run.servers.map(({ connection }) => connection),
    { rank, label, reason, putOut },
  );
  return toWorkers(run, { hold: { number: next } });
}

/** Whose leaving some workers have still to get over. */
export function leftBefore(run: Run): Leaving | undefined {
  return isBetweenViews(run) ? run.lastLeaving : undefined;
}

/**
 * A server dies while the others get over a worker that has left: its shards may lack what that worker had sent, which
 * nobody can send again. So where to go on is decided once more, from what is there now.
 */
export function afresh(run: Run, leaving: Leaving): Order[] {
  const view = run.view as NonNullable<Run['view']>;
  const number = nextNumber(run);
  run.change = new ViewChange(
    { ...view, number, workers: run.workers.map(({ rank, label }) => ({ rank, label })) },
    0,
    run.workers.map(({ connection }) => connection),
    run.servers.map(({ connection }) => connection),
    leaving,
  );
  return toWorkers(run, { hold: { number } });
}

/** Lets go whoever is held; everything stays as it is. */
export function cancel(members: Members, run: Run, change: ViewChange, why: string): Order[] {
  run.change = undefined;
  const refusal = refuse('NOT_NOW', `nothing was changed: ${why}`).toMessage();
  return [
    ...toWorkers(run, { view: run.view }),
    { to: 'caller', connection: change.call, order: { run: run.id, refusal } },
    ...emptied(members),
  ];
}
