#!/usr/bin/env node
// The binary gradloom-server: options in, a server of the mesh out, until it is stopped or its keeper is gone.
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { formatAddress, isLoopback, isWildcard, parseAddress } from '../shared/config/address.js';
import { metricsAddress, placeOf } from '../shared/config/check-place.js';
import { SERVER } from '../shared/config/commands.js';
import { parseOptions } from '../shared/config/parse.js';
import { EXIT } from '../shared/errors.js';
import { serveMetrics } from '../shared/metrics/http.js';
import { createMetrics } from '../shared/metrics/metrics.js';
import {
  collectForBulk,
  createLog,
  fail,
  onParentGone,
  onStopSignal,
  printEvent,
} from '../shared/process.js';
import { reportTo } from './metrics.js';
import { startServer } from './server.js';

async function main(): Promise<void> {
  collectForBulk();
  const parsed = await parseOptions(SERVER, process.argv.slice(2), process.env);
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.text);
    return;
  }
  const { options, warnings } = parsed;
  const log = createLog(options.logLevel);
  // What gRPC would print of its own (a port that is taken) comes as an error too, which is told in one line.
  if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);
  for (const warning of warnings) log.warn(warning);

  const instruments = createMetrics('server');
  let healthy = false;
  const metricsServer = await serveMetrics([instruments.registry], metricsAddress(options), () =>
    healthy ? { healthy } : { healthy, reason: 'not in the mesh' },
  );
  const server = await startServer({
    listen: formatAddress(options.listen),
    advertise: options.advertise && formatAddress(options.advertise),
    join: placeOf(options),
    memoryBytes: options.memoryBytes,
    snapshots: options.snapshots,
    resume: options.resume,
    onSnapshot: (event) => options.json && printEvent({ ...event }),
    onDiverged(event) {
      log.warn(event.text);
      if (options.json) printEvent({ ...event });
    },
    peerDeadlineMs: options.peerDeadlineMs,
    metrics: reportTo(instruments),
    log: (message) => log.info(message),
    onDrained: () => stop('it was drained', EXIT.done),
    onLost: (error) => fail(error, 'gradloom-server'),
  });
  healthy = true;
  process.on('SIGUSR2', () =>
    log.info(`SIGUSR2: snapshots of ${server.takeSnapshots()} runs were asked for`),
  );

  const stop = async (reason: string, status: number) => {
    healthy = false;
    await server.close(reason);
    await metricsServer.close();
    process.exit(status);
  };
  onStopSignal(async (signal) => {
    const kept = signal === 'SIGTERM' ? await server.drain() : undefined;
    if (kept !== undefined) log.warn(`leaves without having been drained: ${kept}`);
    await stop(
      `the server at ${server.address} was stopped by ${signal}`,
      signal === 'SIGTERM' ? EXIT.done : EXIT.interrupted,
    );
  });
  onParentGone(() => stop(`the launcher of the server at ${server.address} is gone`, EXIT.failed));

  // An address that others can use, also where it listens on all of them.
  const { host, port } = metricsServer.address;
  const own = parseAddress(server.address).host;
  const metrics = `http://${formatAddress({ host: isWildcard(host) ? own : host, port })}/metrics`;
  if (options.json) printEvent({ event: 'ready', role: 'server', address: server.address, metrics });
  else
    process.stdout.write(
      `gradloom-server ${server.serverId} is ready on ${server.address}, metrics on ${metrics}\n` +
        (options.join || options.etcd
          ? ''
          : `Join it: gradloom-worker --join ${server.address}${isLoopback(own) ? '' : ' --insecure'}\n`),
    );
}

main().catch((error) => fail(error, 'gradloom-server'));
