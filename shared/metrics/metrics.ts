// The metrics of one process: a registry of its own with Node's metrics and the instruments of its role.
// Nothing here is global, so that tests and processes with both roles have each their own.
import { collectDefaultMetrics, Registry } from 'prom-client';
import { type Definition, METRICS, type MetricTable, type Role } from './definitions.js';
import { createInstrument, type Instrument } from './instruments.js';

/** The instruments of a role, by their key in the table. */
export type Instruments<R extends Role> = {
  readonly [K in keyof MetricTable as R extends MetricTable[K]['roles'][number] ? K : never]: Instrument<
    MetricTable[K]
  >;
};

export type Metrics<R extends Role> = Instruments<R> & { readonly registry: Registry };
export type ServerMetrics = Metrics<'server'>;
export type WorkerMetrics = Metrics<'worker'>;

/**
 * Creates the metrics of a process.
 * @param registry filled instead of a fresh one; two roles in one process need two
 * @param ofProcess whether Node's own are in it: in one of a process's registries
 */
export function createMetrics<R extends Role>(
  role: R,
  registry: Registry = new Registry(),
  ofProcess = true,
): Metrics<R> {
  registry.setDefaultLabels({ role });
  if (ofProcess) collectDefaultMetrics({ register: registry });
  const instruments: Record<string, unknown> = {};
  for (const [key, definition] of Object.entries(METRICS) as [string, Definition][]) {
    if (definition.roles.includes(role)) instruments[key] = createInstrument(definition, registry);
  }
  return { ...instruments, registry } as unknown as Metrics<R>;
}
