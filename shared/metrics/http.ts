// The HTTP side of a process's metrics: GET /metrics for Prometheus, GET /healthz for orchestrators.
// What comes in is bounded: no request body is read, headers and connections are limited, slow clients are cut off.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Metric, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import { type Address, formatAddress } from '../config/address.js';
import { UserError } from '../errors.js';
import { METRICS_CONNECTIONS_MAX, METRICS_DRAIN_MS, METRICS_REQUEST_MS } from '../limits.js';

/** Whether the process can do its work; if not, the sentence says why. */
export type Health = { readonly healthy: true } | { readonly healthy: false; readonly reason: string };

export interface MetricsServer {
  /** Where it really listens; the port is the one that was picked where 0 was asked for. */
  readonly address: Address;
  /** Of the metrics, e.g. `http://127.0.0.1:40124/metrics`. */
  readonly url: string;
  /** Takes no new requests, lets those under way end, and then resolves. */
  close(): Promise<void>;
}

/**
 * Serves /metrics and /healthz.
 * @param registries one for each role of the process; series differ in the label `role`
 * @param health asked at every GET /healthz; 200 where healthy, else 503 with the reason
 * @throws UserError where the address cannot be listened on
 */
export async function serveMetrics(
  registries: readonly Registry[],
  address: Address,
  health: () => Health,
): Promise<MetricsServer> {
  const server = createServer(
    { maxHeaderSize: 16 * 1024, headersTimeout: METRICS_REQUEST_MS, requestTimeout: METRICS_REQUEST_MS },
    (request, response) => {
      answer(request, response, registries, health).catch((error: Error) => {
        if (response.headersSent) response.destroy(error);
        else send(response, 500, 'text/plain', `The metrics could not be collected: ${error.message}\n`);
      });
    },
  );
  server.maxConnections = METRICS_CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException) => reject(refusal(error, address));
    server.once('error', refuse);
    server.listen({ host: address.host, port: address.port, exclusive: true }, () => {
      server.removeListener('error', refuse);
      resolve();
    });
  });
  const bound: Address = { host: address.host, port: (server.address() as AddressInfo).port };
  return {
    address: bound,
    url: `http://${formatAddress(bound)}/metrics`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cutOff = setTimeout(() => server.closeAllConnections(), METRICS_DRAIN_MS);
      await closed;
      clearTimeout(cutOff);
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  registries: readonly Registry[],
  health: () => Health,
): Promise<void> {
  request.resume();
  const path = request.url?.split('?', 1)[0];
  if (path !== '/metrics' && path !== '/healthz') {
    return send(response, 404, 'text/plain', 'Expected GET /metrics or GET /healthz.\n');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return send(response, 405, 'text/plain', `Expected GET ${path}, got ${request.method}.\n`);
  }
  if (path === '/metrics')
    return send(response, 200, registries[0].contentType, await exposition(registries));
  const state = health();
  const body = state.healthy ? { status: 'ok' } : { status: 'unhealthy', reason: state.reason };
  send(response, state.healthy ? 200 : 503, 'application/json', `${JSON.stringify(body)}\n`);
}

/** One text of all registries: a metric that several have stands there once, with the series of each. */
async function exposition(registries: readonly Registry[]): Promise<string> {
  if (registries.length === 1) return registries[0].metrics();
  const named = new Map<string, MetricObjectWithValues<MetricValue<string>>>();
  for (const registry of registries)
    for (const metric of await registry.getMetricsAsJSON()) {
      const same = named.get(metric.name);
      named.set(metric.name, same ? { ...same, values: [...same.values, ...metric.values] } : metric);
    }
  const merged = new Registry();
  for (const metric of named.values())
    merged.registerMetric({ ...metric, get: async () => metric } as unknown as Metric);
  return merged.metrics();
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function refusal(error: NodeJS.ErrnoException, address: Address): UserError {
  const where = formatAddress(address);
  const advice = 'choose another with --metrics HOST:PORT, where port 0 picks a free one';
  switch (error.code) {
    case 'EADDRINUSE':
      return new UserError(`Cannot serve metrics on ${where}: another process listens there; ${advice}`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new UserError(`Cannot serve metrics on ${where}: it is no address of this machine; ${advice}`);
    case 'EACCES':
      return new UserError(`Cannot serve metrics on ${where}: this user may not listen there; ${advice}`);
    default:
      return new UserError(`Cannot serve metrics on ${where}: ${error.message}; ${advice}`);
  }
}
