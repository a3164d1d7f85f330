// A worker of bench rows: trains a table that it never holds in full. Each step it pulls the rows of a batch, whose
// target is a function of row and element, and pushes the gradients of the squared error; popular rows come more often.
// Prints `ready`, then `rows` with what its steps took and how much memory the process had at most.
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { connect } from '../../shared/client/index.js';
import { onParentGone, printEvent } from '../../shared/process.js';
import { keyedRandom } from '../../shared/random.js';
import { uniqueIds } from '../../shared/rows/unique.js';

const { values } = parseArgs({
  options: {
    join: { type: 'string', default: '' },
    rows: { type: 'string', default: '1' },
    width: { type: 'string', default: '16' },
    batch: { type: 'string', default: '1' },
    steps: { type: 'string', default: '1' },
  },
});
const rows = Number(values.rows);
const width = Number(values.width);
onParentGone(() => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
printEvent({ event: 'ready' });
const client = await connect({
  join: values.join,
  job: 'bench',
  tensors: [{ name: 'bias', shape: [1], values: new Float32Array(1) }],
  tables: [{ name: 'embedding', rows, width, optimizer: 'adagrad', learningRate: 0.5 }],
  workers: 2,
  peerDeadlineMs: 60_000,
});

/** One step: how many rows it moved, and the mean of the squared errors. */
async function step(number: number): Promise<{ moved: number; loss: number }> {
  const random = keyedRandom(1, 'batch', client.rank as number, number);
  const batch = Array.from({ length: Number(values.batch) }, () => Math.floor(rows * random.float() ** 3));
  const { ids } = uniqueIds(batch, rows, 'embedding');
  const pulled = await client.pullRows('embedding', ids);
  const gradients = pulled.values;
  let sum = 0;
  for (let i = 0; i < gradients.length; i++) {
    const target = ((ids[Math.floor(i / width)] + (i % width)) % 3) - 1;
    const error = gradients[i] - target;
    sum += error * error;
    gradients[i] = 2 * error;
  }
  const loss = sum / gradients.length;
  await client.wait(
    client.push({}, { samples: batch.length, loss, rows: { embedding: { ids, gradients } } }),
  );
  return { moved: ids.length, loss };
}

const { loss: firstLoss } = await step(0);
const begun = performance.now();
const cpu = process.cpuUsage();
let moved = 0;
let lastLoss = firstLoss;
for (let number = 1; number <= Number(values.steps); number++) {
  const done = await step(number);
  moved += done.moved;
  lastLoss = done.loss;
}
const seconds = (performance.now() - begun) / 1000;
const { user, system } = process.cpuUsage(cpu);
printEvent({
  event: 'rows',
  rows: moved,
  seconds,
  cpuSeconds: (user + system) / 1e6,
  firstLoss,
  lastLoss,
  // In KiB on every platform.
  memoryMib: process.resourceUsage().maxRSS / 1024,
});
await client.close();
process.exit(0);
