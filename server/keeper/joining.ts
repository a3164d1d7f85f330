// Who comes, until a run starts: gathering, while workers or servers are missing; preparing, while the servers make
// their shards and the first copies of these; then it runs. A run that does not fit is refused, with the reason. A server
// that dies before the run has begun takes nothing with it: the others make the shards anew.
import { place } from '../../shared/blocks/placement.js';
import { NAME_CHARACTERS_MAX, REPLICAS_DEFAULT, RUNS_MAX, SERVERS_MAX } from '../../shared/limits.js';
import { placeRows } from '../../shared/rows/partitions.js';
import { refuse } from '../../shared/rpc/refusal.js';
import { specDifference } from '../../shared/run/difference.js';
import { replicationFault } from '../../shared/run/faults.js';
import { rulesToWire } from '../../shared/run/rules.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { toWire } from '../../shared/run/wire.js';
import { alone } from '../replication/placement.js';
import { blockBytes } from '../shard-memory.js';
import { end } from './ending.js';
import type { Members } from './members.js';
import { checkMemory, memoryFault } from './memory.js';
import { fill, isCopying, placed, replicasWanted } from './placing.js';
import { infoOf, NOT_HEARD_OF, type Order, type Run, type ServerEntry, toServers } from './run.js';

/** What no name has that goes into logs and metrics. */
const CONTROL_CHARACTER = /\p{Cc}/u;

/** A server is in the mesh: runs may have waited for it, or have too few copies. Throws Refused. */
export function serverJoined(
  members: Members,
  connection: number,
  hello: { address: string; memoryBytes: number; label: string; peer?: boolean },
): Order[] {
  if (members.servers.size >= SERVERS_MAX)
    throw refuse(
      'FULL',
      `expected at most ${SERVERS_MAX} servers in the mesh, got one more; let it join another mesh`,
    );
  for (const other of members.servers.values())
    if (other.address === hello.address)
      throw refuse(
        'RUN_SPEC',
        `a server at ${hello.address} is in the mesh already (${other.label}); give each its own --listen or --advertise`,
      );
  const entry: ServerEntry = {
    connection,
    id: members.nextServer++,
    address: hello.address,
    label: hello.label,
    memoryBytes: hello.memoryBytes,
    peer: hello.peer ?? false,
  };
  members.servers.set(connection, entry);
  const orders: Order[] = [{ to: 'server', connection, order: { welcome: { id: entry.id } } }];
  for (const run of members.runs.values())
    if (run.state === 'gathering') orders.push(...gathered(members, run));
    else if (run.state === 'running') orders.push(...fill(members, run));
  return orders;
}

/** A worker joins the run that it names, or one of the same job that waits, or opens a new one. Throws Refused. */
export function workerJoined(
  members: Members,
  connection: number,
  hello: { run: string; label: string; token?: string },
  spec: RunSpec,
  newRunId: (job: string, number: number) => string,
): Order[] {
  if (hello.run && (hello.run.length > NAME_CHARACTERS_MAX || CONTROL_CHARACTER.test(hello.run)))
    throw refuse(
      'MALFORMED',
      `expected a run name of at most ${NAME_CHARACTERS_MAX} characters without control characters, got ${JSON.stringify(hello.run.slice(0, 80))}; give another name, or none`,
    );
  let run = hello.run
    ? members.runs.get(hello.run)
    : [...members.runs.values()].find((other) => takesWorkers(other) && other.spec.job === spec.job);
  if (run && !takesWorkers(run))
    throw refuse(
      'FULL',
      `run '${run.id}' has its ${run.spec.workers} workers already; name another with --run, or wait for its end`,
    );
  if (run) {
    const difference = specDifference(run.spec, spec);
    if (difference) throw difference;
  } else {
    if (members.runs.size >= RUNS_MAX)
      throw refuse('FULL', `expected at most ${RUNS_MAX} runs at a time, got one more; wait for one to end`);
    checkMemory(members, spec);
    const id = hello.run || newRunId(spec.job, members.nextRun++);
    run = {
      id,
      spec,
      state: 'gathering',
      workers: [],
      servers: [],
      wanted: 1,
      prepared: new Set(),
      serverWaits: new Map(),
      evaluation: new Map(),
      evaluationStep: -1,
    };
    members.runs.set(id, run);
  }
  run.workers.push({
    connection,
    rank: run.workers.length,
    label: hello.label,
    step: 0,
    phase: NOT_HEARD_OF,
    secondsInPhase: 0,
    done: false,
    bytesPushed: 0,
    bytesPulled: 0,
    bytesRetried: 0,
    view: 1,
    token: hello.token ?? '',
  });
  members.runOfWorker.set(connection, run);
  return gathered(members, run);
}

/** Tells all workers how many are there; when all are, and a server is, the run is prepared. */
export function gathered(members: Members, run: Run): Order[] {
  const complete =
    run.workers.length === run.spec.workers && members.takers.length > 0 && !members.recovering;
  const orders: Order[] = run.workers.map(({ connection, rank }) => ({
    to: 'worker',
    connection,
    order: {
      welcome: {
        run: run.id,
        rank,
        workersJoined: run.workers.length,
        workersExpected: run.spec.workers,
        servers: members.servers.size,
      },
    },
  }));
  return complete ? [...orders, ...prepare(members, run)] : orders;
}

/** A server is gone while a run was prepared. Nothing of it can be lost yet: those who are left begin anew. */
export function prepareAgain(members: Members, run: Run, reason: string): Order[] {
  const term = (run.view?.term ?? 0) + 1;
  const orders = toServers(run, { end: { run: run.id, reason: `it is placed anew: ${reason}` } });
  run.servers = [];
  run.view = undefined;
  run.prepared.clear();
  if (members.takers.length > 0) return [...orders, ...prepare(members, run, term)];
  run.state = 'gathering';
  return [...orders, ...gathered(members, run)];
}

/**
 * Decides which server holds what, and has the shards made; ends a run that does not fit.
 * @param term of its view; above 1: a server is gone, and the run makes do with fewer copies as it would later
 */
function prepare(members: Members, run: Run, term = 1): Order[] {
  const { replicas = 0 } = run.spec;
  const peers = [...members.servers.values()].some(({ peer }) => peer);
  const rigid = replicas > 1 && replicationFault(run.spec, peers);
  if (rigid) return end(members, run, true, rigid);
  if (replicas > members.servers.size && term === 1)
    return end(
      members,
      run,
      true,
      `replicas: expected at most the ${members.servers.size} servers of the mesh, got ${replicas}; start more servers, or ask for fewer`,
    );
  const memory = memoryFault(members, run.spec, term === 1 ? run.spec.replicas : 1);
  if (memory) return end(members, run, true, memory.sentence);
  // Nobody has asked for copies: where they do not fit the run goes without, and its workers say so.
  run.wanted = replicas || (memoryFault(members, run.spec, REPLICAS_DEFAULT) ? 1 : REPLICAS_DEFAULT);
  const { blocks } = layoutOf(run.spec);
  run.servers = members.takers;
  run.state = 'preparing';
  const infos = run.servers.map(infoOf);
  run.view = {
    number: 1,
    term,
    shards: alone(infos),
    fromStep: run.spec.resume?.step ?? 0,
    servers: infos,
    workers: run.workers.map(({ rank, label }) => ({ rank, label })),
    placement: place({
      sizes: blocks.map((block) => blockBytes(block, run.spec.optimizer, run.spec.codec, run.spec.elastic)),
      servers: infos,
    }),
    ...(run.spec.tables && { rowPlacement: placeRows(infos) }),
    ...rulesToWire(run.spec),
  };
  const prepared = { run: run.id, spec: toWire(run.spec), view: run.view };
  return run.servers.map(({ connection }) => ({ to: 'server', connection, order: { prepare: prepared } }));
}

/** A server has made its shard. */
export function serverPrepared(members: Members, connection: number, runId: string, term: number): Order[] {
  const run = members.runs.get(runId);
  // What is said of another time that it was prepared says nothing of this one.
  if (
    run?.state !== 'preparing' ||
    run.view?.term !== term ||
    !run.servers.some((server) => server.connection === connection)
  )
    return [];
  run.prepared.add(connection);
  if (run.prepared.size < run.servers.length) return [];
  if (replicasWanted(members, run) === 1) return start(run);
  const orders = placed(members, run, run.view?.shards ?? []);
  return isCopying(run.view?.shards ?? []) ? orders : [...orders, ...start(run)];
}

/** All shards are there, and the copies that could be made: the workers begin. */
export function start(run: Run): Order[] {
  run.state = 'running';
  return run.workers.map((worker) => ({
    to: 'worker',
    connection: worker.connection,
    order: { start: { view: run.view } },
  }));
}

function takesWorkers(run: Run): boolean {
  return run.state === 'gathering' && run.workers.length < run.spec.workers;
}
