// What a step costs as workers, servers and parameters grow: CPU time of one worker and of one server per step, with a
// stub for a model, so that nothing but the exchange is in it. On a machine with fewer cores than processes the wall
// clock says little, CPU time says the same as on many machines. A model of the cost is fitted to the measurements:
//   worker = a + b · M                    (M: million parameters, all of them encoded and decoded)
//   server = c + (M / servers) · (d · workers + e)   (d: receive, decode, sum and send for one worker; e: the optimizer)
// and says of 16 and 64 peers (hosts with a worker and a server each) how long the exchange of a step takes: what its
// CPU time takes on one core, since a peer's exchange is one thread, or what its bytes take on the link, each way at
// once, whichever is longer. What is assumed is printed beside it (case `assumed`); of the computation of gradients,
// latency, and links that several hosts share the model knows nothing.
import { Matrix, solve } from 'ml-matrix';
import { codecs } from '../../shared/codec/registry.js';
import { BLOCK_ELEMENTS_MAX } from '../../shared/limits.js';
import { cpuSeconds, StubNodes, scrape, startServerProcess, warmUpRounds } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

const CODEC = 'fp16';
const OPTIMIZER = 'adam';
const MILLION = 1e6;
/** Rounds of a measurement, at least; of small models there are more, since CPU time is told in steps of 10 ms. */
const ROUNDS_MIN = 4;
/** Hosts that the model is asked about, with one worker each. */
const ASKED_HOSTS = [16, 64];
/** Cores of a host that its exchange keeps busy: a peer's worker and server talk on one thread. */
const EXCHANGE_CORES = 1;
/** Links that it is asked about, each way, and the share of them that is payload. */
const ASKED_LINKS_GBIT = [1, 10, 25];
const PAYLOAD_SHARE = 0.9;

/** Milliseconds that the exchange of a step takes on a host, by its CPU time and by its link. */
export function exchangeMs(
  cpuMs: number,
  bytesSent: number,
  linkGbit: number,
): { cpu: number; link: number } {
  return { cpu: cpuMs / EXCHANGE_CORES, link: (8 * bytesSent) / (1e6 * linkGbit * PAYLOAD_SHARE) };
}

/** Coefficients c that make the sum of (rows[i] · c / values[i] − 1)² least: small and large values count alike. */
export function fitRelative(rows: readonly (readonly number[])[], values: readonly number[]): number[] {
  const scaled = rows.map((row, i) => row.map((factor) => factor / values[i]));
  return solve(new Matrix(scaled), Matrix.ones(values.length, 1)).to1DArray();
}

export interface ScalingBenchOptions extends BenchOptions {
  /** Most workers and servers of a measurement, of 1 and 16 M parameters; by default eight and four, and up to 64 M. */
  upTo?: number;
}

interface Measured {
  workers: number;
  servers: number;
  millions: number;
  workerMs: number;
  serverMs: number;
}

async function measure(
  workers: number,
  servers: number,
  millions: number,
  small: boolean,
  series: Series,
): Promise<Measured> {
  const name = `workers${workers}-servers${servers}-${millions}M`;
  const elements = Math.round(millions * MILLION);
  const warmUp = warmUpRounds(Math.ceil(elements / BLOCK_ELEMENTS_MAX), small);
  const rounds = Math.max(small ? 1 : ROUNDS_MIN, Math.ceil(warmUp / 10));
  const started = [await startServerProcess()];
  const nodes = new StubNodes();
  try {
    const join = `--join=${started[0].ready.address}`;
    while (started.length < servers) started.push(await startServerProcess([join]));
    const flags = [join, `--workers=${workers}`, `--codec=${CODEC}`, `--optimizer=${OPTIMIZER}`];
    flags.push(`--elements=${elements}`);
    flags.push(`--warm-up=${warmUp}`);
    for (let worker = 0; worker < workers; worker++) await nodes.start(flags);
    await nodes.warm();
    const cpu = async () => {
      const all = await Promise.all(started.map(({ ready }) => scrape(ready.metrics as string)));
      return all.reduce((sum, samples) => sum + cpuSeconds(samples), 0);
    };
    const before = await cpu();
    const said = await nodes.rounds(rounds);
    const serverMs = (1000 * ((await cpu()) - before)) / rounds / servers;
    const workerMs = said.reduce((sum, { cpuMs }) => sum + (cpuMs as number), 0) / workers;
    series.add(name, 'workerCpu', 'ms', workerMs);
    series.add(name, 'serverCpu', 'ms', serverMs);
    series.add(name, 'round', 'ms', Math.max(...said.map(({ ms }) => ms as number)));
    return { workers, servers, millions, workerMs, serverMs };
  } finally {
    await nodes.stop();
    await Promise.all(started.map(({ child }) => child.stop()));
  }
}

/** Fits the model and adds its coefficients, how far it is off, and what it says of more hosts. */
function model(measured: readonly Measured[], series: Series): void {
  const workerRow = ({ millions }: Pick<Measured, 'millions'>) => [1, millions];
  const serverRow = ({ workers, servers, millions }: Pick<Measured, 'workers' | 'servers' | 'millions'>) => [
    1,
    (workers * millions) / servers,
    millions / servers,
  ];
  const dot = (row: readonly number[], by: readonly number[]) =>
    row.reduce((sum, value, i) => sum + value * by[i], 0);
  const worker = fitRelative(
    measured.map(workerRow),
    measured.map(({ workerMs }) => workerMs),
  );
  const server = fitRelative(
    measured.map(serverRow),
    measured.map(({ serverMs }) => serverMs),
  );
  const names = [
    'workerFixed',
    'workerPerMillion',
    'serverFixed',
    'serverPerMillionAndWorker',
    'serverPerMillion',
  ];
  for (const [i, value] of [...worker, ...server].entries()) series.add('model', names[i], 'ms', value);
  for (const each of measured) {
    series.add('model', 'workerOff', '%', 100 * Math.abs(dot(workerRow(each), worker) / each.workerMs - 1));
    series.add('model', 'serverOff', '%', 100 * Math.abs(dot(serverRow(each), server) / each.serverMs - 1));
  }
  series.add('assumed', 'exchangeCores', 'cores', EXCHANGE_CORES);
  series.add('assumed', 'payloadShare', '%', 100 * PAYLOAD_SHARE);
  const largest = Math.max(...measured.map(({ millions }) => millions));
  for (const hosts of ASKED_HOSTS) {
    // Peers: as many servers as workers, on as many hosts.
    const at = { workers: hosts, servers: hosts, millions: largest };
    const name = `hosts${hosts}-${largest}M`;
    const cpuMs = dot(workerRow(at), worker) + dot(serverRow(at), server);
    series.add(name, 'peerCpu', 'ms', cpuMs);
    const bytes = (2 * codecs[CODEC].payloadBytes(largest * MILLION) * (hosts - 1)) / hosts;
    series.add(name, 'peerSends', 'MB', bytes / 1e6);
    for (const linkGbit of ASKED_LINKS_GBIT) {
      const { cpu, link } = exchangeMs(cpuMs, bytes, linkGbit);
      series.add(name, `exchangeAt${linkGbit}Gbit`, 'ms', Math.max(cpu, link));
    }
    // Faster links than this change nothing: from here on it is the CPU that a step waits for.
    series.add(
      name,
      'cpuBoundFrom',
      'Gbit/s',
      exchangeMs(cpuMs, bytes, 1).link / exchangeMs(cpuMs, bytes, 1).cpu,
    );
    // Servers of their own: how many keep each server's core no busier than a worker's exchange.
    const room = dot(workerRow(at), worker) - server[0];
    const wanted = (largest * (server[1] * hosts + server[2])) / Math.max(room, Number.MIN_VALUE);
    series.add(name, 'serversWanted', 'servers', Math.ceil(wanted));
  }
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: ScalingBenchOptions): Promise<Result[]> {
  const { small, upTo } = options;
  const upToMost = (counts: number[]) =>
    counts.filter((count) => count <= (upTo ?? Number.POSITIVE_INFINITY));
  const sizes = small ? [0.01, 0.6] : upTo ? [1, 16] : [1, 16, 64];
  const workerCounts = small ? [1, 2] : upTo ? upToMost([1, 2, 4]) : [1, 2, 4, 8];
  const serverCounts = small ? [1] : upToMost([1, 2, 4]);
  const series = new Series('scaling');
  const measured: Measured[] = [];
  for (let repeat = 0; repeat < options.repeats; repeat++)
    for (const millions of sizes)
      for (const workers of workerCounts)
        for (const servers of serverCounts)
          measured.push(await measure(workers, servers, millions, small, series));
  model(measured, series);
  return series.results();
}
