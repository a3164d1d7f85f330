// What a second copy of every shard costs: pushPull of 64 MiB of fp32 gradients with Adam (momentum where the codec
// does not go with Adam) on two servers, by one worker, with one copy and with two, which take turns. With two, each
// server repeats the updates of the other, and nothing leaves before it has: `round` is what the training thread waits,
// `serverCpu` what both servers computed.
import { pairFault } from '../../shared/codec/allowed-pairs.js';
import type { CodecName } from '../../shared/codec/codec.js';
import { BLOCK_ELEMENTS_MAX } from '../../shared/limits.js';
import {
  cpuSeconds,
  SETTLING_ROUNDS,
  type Started,
  StubNodes,
  scrape,
  startServerProcess,
  warmUpRounds,
} from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

const SERVERS = 2;
const COPIES = [1, 2];

export interface ReplicasBenchOptions extends BenchOptions {
  /** By default fp16. */
  codec?: CodecName;
}

interface Mesh {
  readonly name: string;
  readonly servers: Started[];
  readonly worker: StubNodes;
}

/** Two servers and a worker, warm. */
async function startMesh(replicas: number, flags: readonly string[]): Promise<Mesh> {
  const servers = [await startServerProcess()];
  const worker = new StubNodes();
  const join = `--join=${servers[0].ready.address}`;
  try {
    while (servers.length < SERVERS) servers.push(await startServerProcess([join]));
    await worker.start([join, '--workers=1', `--replicas=${replicas}`, ...flags]);
    await worker.warm();
  } catch (error) {
    await stop({ name: '', servers, worker });
    throw error;
  }
  return { name: `replicas${replicas}`, servers, worker };
}

async function stop({ servers, worker }: Mesh): Promise<void> {
  await worker.stop();
  await Promise.all(servers.map(({ child }) => child.stop()));
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: ReplicasBenchOptions): Promise<Result[]> {
  const blocks = options.small ? 4 : 64;
  const rounds = options.small ? 1 : 12;
  const series = new Series('replicas');
  const codec = options.codec ?? 'fp16';
  const optimizer = pairFault(codec, 'adam', 'bsp') ? 'momentum' : 'adam';
  const flags = [`--codec=${codec}`, `--optimizer=${optimizer}`];
  flags.push(`--elements=${blocks * BLOCK_ELEMENTS_MAX}`, `--warm-up=${warmUpRounds(blocks, options.small)}`);
  const meshes: Mesh[] = [];
  try {
    for (const replicas of COPIES) meshes.push(await startMesh(replicas, flags));
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      await options.between?.();
      const took: number[] = [];
      for (const { name, servers, worker } of meshes) {
        const cpu = async () => {
          const all = await Promise.all(servers.map(({ ready }) => scrape(ready.metrics as string)));
          return all.reduce((sum, samples) => sum + cpuSeconds(samples), 0);
        };
        await worker.rounds(SETTLING_ROUNDS);
        const before = await cpu();
        const [said] = await worker.rounds(rounds);
        series.add(name, 'serverCpu', 'ms', (1000 * ((await cpu()) - before)) / rounds);
        series.add(name, 'round', 'ms', said.ms as number);
        took.push(said.ms as number);
      }
      series.add('cost', 'time', 'times', took[1] / took[0]);
    }
    return series.results();
  } finally {
    await Promise.all(meshes.map(stop));
  }
}
