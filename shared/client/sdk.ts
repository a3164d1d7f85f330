// The client SDK: `import { connect } from 'gradloom'`. Four verbs over the exchange: push, pull, pushPull, wait.
// With tensors a client is one worker of a run (its first worker gives the initial values); without, it only
// reads a run that is going on.
import { hostname } from 'node:os';
import { normalPlace } from '../config/place.js';
import { fromWire } from '../run/wire.js';
import { joinRun } from './membership.js';
import { MeshClient, type Surroundings } from './mesh-client.js';
import { observe } from './observe.js';
import { compileSpec } from './sdk-spec.js';
import type { Client, ConnectOptions } from './sdk-types.js';

const DEFAULT_PEER_DEADLINE_MS = 20_000;

/**
 * Connects to a mesh. Throws UserError for options that cannot be, Refused or RunError where the mesh says no or
 * is not there.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  const address = normalPlace(options.join);
  const { peerDeadlineMs = DEFAULT_PEER_DEADLINE_MS } = options;
  const surroundings: Surroundings = {
    peerDeadlineMs,
    // What it throws is its own affair: no stream of the exchange ends with it.
    onWaiting: (waiting) => queueMicrotask(() => options.onWaiting?.(waiting)),
  };
  if (!options.tensors) {
    const { run, spec: wire, view } = await observe(address, options.run ?? '', peerDeadlineMs);
    const spec = fromWire(wire);
    const findView = async () => (await observe(address, run, peerDeadlineMs)).view;
    const client = MeshClient.create(run, undefined, spec, view, surroundings, findView);
    await client.open(view, surroundings);
    return client;
  }
  const spec = compileSpec(options, options.tensors);
  let isCreated = (_client: MeshClient): void => undefined;
  // What the keeper says of views reaches it from the beginning, in order: also while it connects.
  const created = new Promise<MeshClient>((resolve) => {
    isCreated = resolve;
  });
  const membership = await joinRun({
    address,
    run: options.run ?? '',
    spec,
    label: `${hostname()}:${process.pid}`,
    peerDeadlineMs,
    onWelcome: () => undefined,
    onHold: async () => (await created).hold(),
    onView: (view) => void created.then((client) => client.change(view)),
    onPlaced: (view) => void created.then((client) => client.place(view)),
    onDone: async (worker) => (await created).finished(worker),
    doing: () => client?.doing() ?? 'was connecting',
    onLost: (error) => client?.lose(error),
  });
  let client: MeshClient | undefined;
  try {
    client = MeshClient.create(membership.run, membership, spec, membership.view, surroundings);
    isCreated(client);
    await client.open(membership.view, surroundings);
    if (membership.rank === 0) await client.initialize(options.tensors);
    return client;
  } catch (error) {
    membership.leave();
    throw error;
  }
}
