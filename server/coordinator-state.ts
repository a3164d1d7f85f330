// What outlives a keeper, as bytes: one value for the mesh, one for each running run, and back. The view and the spec go
// as the messages that they are everywhere, so what is added to them comes along. Pure; where the values are kept is
// the affair of server/coordination/.
import type { RunSpec as RunSpecMessage } from '../shared/rpc/generated/gradloom/v1/RunSpec.js';
import type { StoredMesh, StoredMesh__Output } from '../shared/rpc/generated/gradloom/v1/StoredMesh.js';
import type { StoredRun, StoredRun__Output } from '../shared/rpc/generated/gradloom/v1/StoredRun.js';
import { messageCodec } from '../shared/rpc/proto.js';
import type { RunSpec } from '../shared/run/spec.js';
import { fromWire, toWire } from '../shared/run/wire.js';
import type { Lasting } from './keeper/members.js';
import { NOT_HEARD_OF, type Run, type ServerEntry, type WorkerEntry } from './keeper/run.js';

/** Values by name: `mesh`, and `run/<id>` for each running run. */
export type State = ReadonlyMap<string, Buffer>;

export const MESH = 'mesh';
export const RUN_PREFIX = 'run/';

const meshCodec = messageCodec<StoredMesh, StoredMesh__Output>('gradloom.v1.StoredMesh');
const runCodec = messageCodec<StoredRun, StoredRun__Output>('gradloom.v1.StoredRun');

const specCodec = messageCodec<RunSpecMessage, unknown>('gradloom.v1.RunSpec');

/** The part of a run's value that does not change. */
export function specBytes(spec: RunSpec): Buffer {
  return specCodec.encode(toWire(spec));
}

/** What the next keeper needs, as it stands. */
export function save({ nextServer, nextRun, servers, runs, ended, draining }: Lasting): State {
  const mesh = meshCodec.encode({
    ...{ nextServer, nextRun },
    servers: servers.map(({ connection: _, ...server }) => server),
    ended: [...ended],
    draining: [...draining],
  });
  return new Map([[MESH, mesh], ...runs.map((run) => [RUN_PREFIX + run.id, saveRun(run)] as const)]);
}

function saveRun({
  id,
  spec,
  view,
  workers,
  servers,
  change,
  decided,
  wanted,
  lastLeaving,
  proposed,
  divergences,
}: Run): Buffer {
  const gone = change?.leaving;
  const last = change?.view && gone ? gone : lastLeaving;
  return runCodec.encode({
    ...{ run: id, spec: toWire(spec), view },
    workers: [
      ...workers.map(({ rank, label, token, done, bytesPushed, bytesPulled, view: number, leaving }) => ({
        ...{ rank, label, token, done, bytesPushed, bytesPulled, view: number },
        ...{ leaving: leaving?.reason, putOut: leaving?.putOut },
      })),
      // Until the view without it is decided, it is a worker of the run, and has to be put out again.
      ...(gone && !change.view
        ? [
            {
              rank: gone.rank,
              label: gone.label,
              view: view?.number,
              leaving: gone.reason,
              putOut: gone.putOut,
            },
          ]
        : []),
    ].sort((a, b) => a.rank - b.rank),
    servers: servers.map((server) => server.id),
    decided: change?.view ?? decided,
    ...{ wanted, proposed },
    ...{ divergences: divergences?.count, lastDivergence: divergences?.last },
    lastLeaving: last && { rank: last.rank, label: last.label, leaving: last.reason, putOut: last.putOut },
  });
}

/** The inverse of `save`; nobody has a connection yet. Throws where the values are not those of a `save`. */
export function restore(state: State): Lasting {
  const mesh = state.get(MESH);
  const { nextServer, nextRun, servers, ended, draining } = mesh
    ? meshCodec.decode(mesh)
    : { nextServer: 0, nextRun: 1, servers: [], ended: [], draining: [] };
  const entries = servers.map((server): ServerEntry => ({ ...server, connection: Number.NaN }));
  const runs = [...state].flatMap(([name, bytes]) =>
    name.startsWith(RUN_PREFIX) ? [restoreRun(bytes, entries)] : [],
  );
  return { nextServer, nextRun, servers: entries, runs, ended, draining };
}

function restoreRun(bytes: Buffer, entries: readonly ServerEntry[]): Run {
  const {
    run,
    spec,
    view,
    workers,
    servers,
    decided,
    wanted,
    lastLeaving: last,
    proposed,
    divergences: count,
    lastDivergence,
  } = runCodec.decode(bytes);
  return {
    id: run,
    spec: fromWire(spec),
    state: 'running',
    workers: workers.map(
      ({ leaving, putOut, ...worker }): WorkerEntry => ({
        ...worker,
        ...{ connection: Number.NaN, step: 0, phase: NOT_HEARD_OF, secondsInPhase: 0 },
        ...(leaving ? { leaving: { reason: leaving, putOut } } : {}),
      }),
    ),
    servers: servers.flatMap((id) => entries.find((entry) => entry.id === id) ?? []),
    ...(view ? { view } : {}),
    ...(decided ? { decided } : {}),
    ...(lastDivergence ? { divergences: { count, last: lastDivergence } } : {}),
    ...(last
      ? { lastLeaving: { rank: last.rank, label: last.label, reason: last.leaving, putOut: last.putOut } }
      : {}),
    ...{
      wanted,
      proposed,
      prepared: new Set(),
      evaluation: new Map(),
      evaluationStep: -1,
      serverWaits: new Map(),
    },
  };
}
