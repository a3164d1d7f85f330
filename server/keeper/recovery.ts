// A keeper follows another (coordinator-state.ts, coordination/): it takes over what the one before has left, waits for
// the servers and workers of that, and when all are back, or are given up, what was on its way goes on.
import type { View } from '../../shared/rpc/generated/gradloom/v1/View.js';
import { refuse } from '../../shared/rpc/refusal.js';
import { ViewChange } from '../view-change.js';
import { afresh, depart } from './changes.js';
import { emptied } from './draining.js';
import { toldBefore } from './evaluations.js';
import { failOver } from './failover.js';
import { gathered } from './joining.js';
import type { Members } from './members.js';
import { placeOrder } from './placing.js';
import { isAbsent, type Order, toServers, toWorkers, type WholeEvaluation } from './run.js';

/** A server comes back to a keeper that follows another. Throws Refused where it has been given up. */
export function serverBack(
  members: Members,
  connection: number,
  hello: { address: string },
  { id, runs }: { id: number; runs: readonly string[] },
): Order[] {
  const entry = members.serverWithId(id);
  if (!members.recovering || entry?.address !== hello.address)
    throw refuse(
      'STALE_VIEW',
      `expected server ${id} (${hello.address}) while the mesh waits for it, got it afterwards: the mesh goes on without it; start it again`,
    );
  members.bindServer(entry, connection);
  const orders: Order[] = [{ to: 'server', connection, order: { welcome: { id } } }];
  for (const run of runs)
    if (!members.runs.get(run)?.servers.includes(entry)) {
      const reason = members.ended.get(run)?.reason ?? 'the keeper has changed before it began';
      orders.push({ to: 'server', connection, order: { end: { run, reason } } });
    }
  for (const run of [...members.runs.values()]) {
    if (run.state !== 'running' || !run.servers.includes(entry)) continue;
    const isHolder = run.view?.shards.some(({ primary, backups }) => [primary, ...backups].includes(id));
    if (isHolder && !runs.includes(run.id))
      orders.push(...failOver(members, run, entry, 'it has no shard of it any more'));
    // What it may have missed of who holds what.
    else orders.push(placeOrder(run, connection));
  }
  return [...orders, ...recovered(members)];
}

/**
 * A worker comes back to a keeper that follows another. Undefined: the run had not started for it, and nobody knows
 * it, so it joins as a new one.
 */
export function workerBack(
  members: Members,
  connection: number,
  hello: { token: string },
  back?: { run: string; view: number; term?: number; evaluated?: WholeEvaluation | null },
): Order[] | undefined {
  const to = 'worker';
  const run = [...members.runs.values()].find(
    (each) => each.state === 'running' && each.workers.some(({ token }) => token === hello.token),
  );
  const worker = run?.workers.find(({ token }) => token === hello.token);
  if (!run || !worker || worker.leaving || !(members.recovering || isAbsent(worker))) {
    if (!back) return undefined;
    const reason =
      'the keeper has changed and this worker has not come back in time; the run goes on without it';
    const ended = members.ended.get(back.run) ?? { failed: true, reason };
    return [{ to, connection, order: { ended } }];
  }
  members.bindWorker(run, worker, connection);
  if (back) worker.view = back.view;
  const welcome = {
    ...{ run: run.id, rank: worker.rank, workersJoined: run.workers.length },
    ...{ workersExpected: run.spec.workers, servers: members.servers.size },
  };
  const orders: Order[] = [{ to, connection, order: { welcome } }];
  if (!back) orders.push({ to, connection, order: { start: { view: run.view } } });
  else if (back.view < (run.view?.number ?? 0) || (back.term ?? 0) < (run.view?.term ?? 0))
    orders.push({ to, connection, order: { view: run.view } });
  if (back?.evaluated && back.evaluated.step >= (run.evaluated?.step ?? 0)) {
    run.evaluated = back.evaluated;
    orders.push(...toldBefore(run, back.evaluated));
  }
  return [...orders, ...recovered(members)];
}

/** When all are back, what was on its way goes on. */
export function recovered(members: Members): Order[] {
  const missing = [...members.runs.values()].some((run) =>
    run.workers.some((worker) => isAbsent(worker) && !worker.leaving && !worker.done),
  );
  if (!members.recovering || missing || members.absentServers.length > 0) return [];
  return resume(members);
}

/** What was on its way goes on, whoever is still missing. */
export function resume(members: Members): Order[] {
  members.recovering = false;
  const orders: Order[] = [];
  for (const run of [...members.runs.values()]) {
    if (run.state === 'gathering') orders.push(...gathered(members, run));
    const { decided } = run;
    run.decided = undefined;
    // Whoever is held for a view that will not come goes on; where somebody leaves, all are held until it is decided.
    const isLeft = run.afresh !== undefined || run.workers.some(({ leaving }) => leaving);
    if (run.state === 'running' && !decided && !isLeft) orders.push(...toWorkers(run, { view: run.view }));
    if (decided) {
      const { rank = 0, reason = '', putOut = false } = decided.departed ?? {};
      run.change = new ViewChange(
        decided as View & { number: number },
        0,
        run.workers.map(({ connection }) => connection),
        run.servers.map(({ connection }) => connection),
        decided.departed ? { rank, reason, putOut, label: '' } : undefined,
        decided,
      );
      orders.push(...toServers(run, { change: { run: run.id, view: decided } }));
    }
    const left = run.afresh;
    run.afresh = undefined;
    if (left) orders.push(...afresh(run, left));
    for (const worker of run.workers.filter(({ leaving }) => leaving)) {
      members.runOfWorker.delete(worker.connection);
      orders.push(...depart(members, run, worker, worker.leaving?.reason ?? '', worker.leaving?.putOut));
    }
  }
  return [...orders, ...emptied(members)];
}
