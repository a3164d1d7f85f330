// A worker, or with --serve a peer, whose compute thread only asks for steps: what benches of the exchange over several
// processes start. Prints `ready` when it has begun (a peer: its address, when it serves), `warm` after the first
// rounds, and after each line on stdin, which says how many, takes more, of which it prints the means.
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { CodecName } from '../../shared/codec/codec.js';
import { type OptimizerSpec, optimizerSpec } from '../../shared/optimizer/spec.js';
import { collectSeldom, onParentGone, printEvent } from '../../shared/process.js';
import { keyedRandom } from '../../shared/random.js';
import type { ConsistencyName, RunSpec } from '../../shared/run/spec.js';
import { ExchangeClient } from '../../worker/exchange/exchange-client.js';
import { fillUniform } from './fill.js';

const { values } = parseArgs({
  options: {
    join: { type: 'string' },
    serve: { type: 'boolean', default: false },
    listen: { type: 'string', default: '127.0.0.1:0' },
    advertise: { type: 'string' },
    workers: { type: 'string', default: '2' },
    codec: { type: 'string', default: 'fp32' },
    optimizer: { type: 'string', default: 'adam' },
    elements: { type: 'string', default: '0' },
    consistency: { type: 'string', default: 'bsp' },
    staleness: { type: 'string' },
    'backup-workers': { type: 'string', default: '0' },
    replicas: { type: 'string', default: '1' },
    /** A step takes this long on average, on the worker with the given key: exponentially distributed. */
    'compute-ms': { type: 'string', default: '0' },
    key: { type: 'string', default: '0' },
    /** Rounds that warm up: few where the compiled code of an exchange is not what is measured. */
    'warm-up': { type: 'string', default: '3' },
  },
});

const spec: RunSpec = {
  job: 'bench',
  tensors: [{ name: 'weights', shape: [Number(values.elements)], kind: 'trainable' }],
  optimizer: optimizerSpec(values.optimizer as OptimizerSpec['kind'], 1e-4),
  consistency: values.consistency as ConsistencyName,
  ...(values.staleness === undefined ? {} : { staleness: Number(values.staleness) }),
  backupWorkers: Number(values['backup-workers']),
  replicas: Number(values.replicas),
  codec: values.codec as CodecName,
  workers: Number(values.workers),
  globalBatch: Number(values.workers),
  epochs: 1,
  stepsPerEpoch: 1,
  seed: 1,
  dataFingerprint: 'none',
};
collectSeldom();
onParentGone(() => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
const { client, started } = await ExchangeClient.start({
  spec,
  join: values.join ?? '',
  peer: values.serve
    ? {
        thread: new URL('../../deploy/peer-thread.js', import.meta.url),
        serve: {
          listen: values.listen,
          advertise: values.advertise,
          join: values.join,
          memoryBytes: 2 ** 30,
        },
      }
    : undefined,
  run: '',
  label: 'bench',
  peerDeadlineMs: 60_000,
  metrics: { host: '127.0.0.1', port: 0 },
  onServing: (address) => printEvent({ event: 'ready', address }),
  onReady: () => {
    if (!values.serve) printEvent({ event: 'ready' });
  },
  onWelcome: () => undefined,
  onWaiting: () => undefined,
});
fillUniform(client.parameters(0), 1, 1);
if (started.rank === 0) await client.initialize();
/** Steps done; with backup workers those that went on without this one too. */
let { step: done } = await client.pull(0);
/** Steps that are done when the series of rounds under way ends. */
let target = 0;

const random = keyedRandom(1, 'compute', values.key);
const meanMs = Number(values['compute-ms']);

async function rounds(count: number, event: 'warm' | 'rounds'): Promise<void> {
  const begun = performance.now();
  const cpu = process.cpuUsage();
  let [sentBytes, encodeMs, waitMs, decodeMs] = [0, 0, 0, 0];
  target += count;
  while (done < target) {
    if (meanMs > 0) await pause(-meanMs * Math.log(1 - random.float()));
    fillUniform(client.gradients(0).subarray(0, 1024), 2 + started.rank, 1e-2);
    const { exchanged } = await client.step({
      epoch: 1,
      samples: 1,
      lossSum: 1,
      correct: 0,
      phases: { dataSeconds: 0, computeSeconds: 0 },
    });
    done = exchanged?.step ?? done + 1;
    encodeMs += 1000 * (exchanged?.encodeSeconds ?? 0);
    waitMs += 1000 * (exchanged?.waitSeconds ?? 0);
    decodeMs += 1000 * (exchanged?.decodeSeconds ?? 0);
    // Of two peers, each sends the other what the other's pull receives.
    sentBytes += (exchanged?.bytesPushed ?? 0) + (exchanged?.bytesPulled ?? 0);
  }
  const { user, system } = process.cpuUsage(cpu);
  const ms = (performance.now() - begun) / count;
  printEvent({
    event,
    ms,
    cpuMs: (user + system) / 1000 / count,
    sentBytes: sentBytes / count,
    encodeMs: encodeMs / count,
    waitMs: waitMs / count,
    decodeMs: decodeMs / count,
  });
}
fillUniform(client.gradients(0), 2 + started.rank, 1e-2);
await rounds(Number(values['warm-up']), 'warm');
// The run goes on until the bench ends the process: what servers tell of it stays there to be read.
for await (const line of createInterface({ input: process.stdin })) await rounds(Number(line), 'rounds');
