// Rows that two workers train in a table that no process holds in full: 20 M rows of 16 on four servers, AdaGrad, each
// worker 32 Ki draws a step of which popular rows are drawn more often. `rate` counts a row that was pulled and whose
// gradient was pushed, over both workers; `worker-memory` and `server-memory` are the most that any process had
// resident, `table` what the rows with their state take when all have been updated.
import { explain } from '../../deploy/children.js';
import { tableBytes } from '../../server/rows/row-table.js';
import { rowsBytes } from '../../server/rows/rows-budget.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import type { RowOptimizerSpec, RowTableSpec } from '../../shared/rows/tables.js';
import { type Started, scrape, startProcess, startServerProcess } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

const MIB = 2 ** 20;
const WIDTH = 16;
/** For the one tensor that every run has, and the process. */
const SPARE_MIB = 64;

interface Case {
  rows: number;
  servers: number;
  batch: number;
  steps: number;
}

interface Said {
  rows: number;
  seconds: number;
  cpuSeconds: number;
  firstLoss: number;
  lastLoss: number;
  memoryMib: number;
}

/** A worker process, and what it says at its end. */
function worker(flags: readonly string[]): { started: Promise<Started>; said: Promise<Said> } {
  let started: Promise<Started> | undefined;
  const said = new Promise<Said>((resolve, reject) => {
    started = startProcess('worker', 'test/bench/rows-worker.js', flags, (event) => {
      if (event.event === 'rows') resolve(event as unknown as Said);
    });
    started.then(({ child }) => child.exited.then((exit) => reject(explain(exit))), reject);
  });
  said.catch(() => undefined);
  return { started: started as Promise<Started>, said };
}

async function measure({ rows, servers, batch, steps }: Case, series: Series): Promise<void> {
  const table: RowTableSpec = {
    name: 'embedding',
    rows,
    width: WIDTH,
    initializer: { kind: 'uniform', scale: 0.05 },
    optimizer: optimizerSpec('adagrad', 0.5) as RowOptimizerSpec,
    codec: 'fp32',
  };
  const memory = `--memory=${Math.ceil(rowsBytes([table], servers) / MIB) + SPARE_MIB}`;
  const nodes: Started[] = [];
  try {
    nodes.push(await startServerProcess([memory]));
    const join = `--join=${nodes[0].ready.address}`;
    while (nodes.length < servers) nodes.push(await startServerProcess([memory, join]));
    const hosts = [...nodes];
    const flags = [join, `--rows=${rows}`, `--width=${WIDTH}`, `--batch=${batch}`, `--steps=${steps}`];
    const workers = [worker(flags), worker(flags)];
    for (const { started } of workers) nodes.push(await started);
    const said = await Promise.all(workers.map((each) => each.said));
    const resident = await Promise.all(
      hosts.map(async ({ ready }) => {
        const samples = await scrape(ready.metrics as string);
        return samples.find(({ name }) => name === 'process_resident_memory_bytes')?.value ?? Number.NaN;
      }),
    );
    const name = `${rows}x${WIDTH}-${servers}`;
    const seconds = Math.max(...said.map((each) => each.seconds));
    series.add(name, 'rate', 'rows/s', said.reduce((sum, each) => sum + each.rows, 0) / seconds);
    series.add(name, 'step', 'ms', (1000 * seconds) / steps);
    series.add(name, 'worker-cpu', 's/s', Math.max(...said.map((each) => each.cpuSeconds)) / seconds);
    series.add(name, 'worker-memory', 'MiB', Math.max(...said.map((each) => each.memoryMib)));
    series.add(name, 'server-memory', 'MiB', Math.max(...resident) / MIB);
    series.add(name, 'table', 'MiB', tableBytes(table, 1) / MIB);
    series.add(name, 'first-loss', 'loss', Math.max(...said.map((each) => each.firstLoss)));
    series.add(name, 'last-loss', 'loss', Math.max(...said.map((each) => each.lastLoss)));
  } finally {
    await Promise.all(nodes.map(({ child }) => child.stop()));
  }
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: BenchOptions & { rows?: number }): Promise<Result[]> {
  const of: Case = options.small
    ? { rows: 20_000, servers: 2, batch: 4096, steps: 3 }
    : { rows: options.rows ?? 20_000_000, servers: 4, batch: 32 * 1024, steps: 40 };
  const series = new Series('rows');
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    await options.between?.();
    await measure(of, series);
  }
  return series.results();
}
