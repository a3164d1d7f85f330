// The exchange thread of a node with both roles: its server runs here too, so the worker reaches its own shard
// without the network, and one thread of the process does all that talks. Started by gradloom-worker --serve.
import { parentPort, workerData } from 'node:worker_threads';
import { reportTo } from '../server/metrics.js';
import { startServer } from '../server/server.js';
import { createMetrics } from '../shared/metrics/metrics.js';
import { streamsInProcess } from '../shared/rpc/in-process.js';
import { runExchangeThread } from '../worker/exchange/exchange-thread.js';
import type { FromThread, ServeOptions, ThreadData } from '../worker/exchange/messages.js';

const { serve, peerDeadlineMs } = workerData as ThreadData;

runExchangeThread(async (lost) => {
  const instruments = createMetrics('server', undefined, false);
  const server = await startServer({
    ...(serve as ServeOptions),
    peer: true,
    peerDeadlineMs,
    metrics: reportTo(instruments),
    // What happens to the mesh, the run's own events tell.
    log: () => undefined,
    onSnapshot: (snapshot) => parentPort?.postMessage({ kind: 'snapshot', snapshot } satisfies FromThread),
    onLost: lost,
  });
  const { address, parameters } = server;
  parentPort?.postMessage({ kind: 'serving', address } satisfies FromThread);
  return {
    registry: instruments.registry,
    join: serve?.join ?? address,
    streamsTo: (other) => (other === address ? streamsInProcess(parameters) : undefined),
    close: () => server.close(`the peer at ${address} has left`),
  };
});
