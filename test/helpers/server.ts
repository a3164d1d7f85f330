// Real servers on free ports for tests; they are closed when the test ends.
import type { ExecutionContext } from 'ava';
import { reportTo } from '../../server/metrics.js';
import { type RunningServer, type ServerOptions, startServer } from '../../server/server.js';
import { createMetrics } from '../../shared/metrics/metrics.js';

/** Starts a server on a free port of loopback. */
export async function startTestServer(
  t: ExecutionContext,
  options: Partial<ServerOptions> = {},
): Promise<RunningServer> {
  const server = await startServer({
    listen: '127.0.0.1:0',
    memoryBytes: 256 * 1024 * 1024,
    peerDeadlineMs: 20_000,
    metrics: reportTo(createMetrics('server')),
    log: (message) => t.log(message),
    onLost: (error) => t.log(error.message),
    ...options,
  });
  t.teardown(() => server.close('the test is over'));
  return server;
}

/** Resolves when something holds that others bring about; a test that waits in vain ends by its own time limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
