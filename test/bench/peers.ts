// How long two peers take to sum 64 MiB of fp32 gradients between them and to update the parameters that both then
// hold: nodes with both roles, each with half of the model, as processes of their own. Cases are codec and optimizer;
// plain sgd adds next to nothing to what an all-reduce does. `round` is what the compute threads wait, `rate` the
// gradients' fp32 bytes over it (an all-reduce's figure), `sent` what one peer sends, and `ring` the least that any
// all-reduce over two peers must, in the same codec. `cpu` is all that one peer computes, transport included. One case
// after another, each in turn with what it is compared with.
import type { CodecName } from '../../shared/codec/codec.js';
import { codecs } from '../../shared/codec/registry.js';
import { BLOCK_ELEMENTS_MAX } from '../../shared/limits.js';
import { SETTLING_ROUNDS, StubNodes, warmUpRounds } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

const MIB = 2 ** 20;
const CASES: readonly [CodecName, 'sgd' | 'adam'][] = [
  ['fp32', 'sgd'],
  ['fp32', 'adam'],
  ['fp16', 'sgd'],
  ['fp16', 'adam'],
];

/** Two peers, warm. */
async function startPeers(codec: CodecName, optimizer: string, elements: number, warmUp: number) {
  const flags = ['--serve', `--codec=${codec}`, `--optimizer=${optimizer}`];
  flags.push(`--elements=${elements}`, `--warm-up=${warmUp}`);
  const peers = new StubNodes();
  try {
    const first = await peers.start(flags);
    await peers.start([...flags, `--join=${first.ready.address}`]);
    await peers.warm();
  } catch (error) {
    await peers.stop();
    throw error;
  }
  return peers;
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: BenchOptions): Promise<Result[]> {
  const blocks = options.small ? 2 : 64;
  const rounds = options.small ? 1 : 12;
  const elements = blocks * BLOCK_ELEMENTS_MAX;
  const series = new Series('peers');
  for (const [codec, optimizer] of CASES) {
    const peers = await startPeers(codec, optimizer, elements, warmUpRounds(blocks, options.small));
    const add = (metric: string, unit: string, value: number) =>
      series.add(`${codec}-${optimizer}`, metric, unit, value);
    try {
      for (let repeat = 0; repeat < options.repeats; repeat++) {
        await options.between?.();
        await peers.rounds(SETTLING_ROUNDS);
        const [said] = (await peers.rounds(rounds)) as unknown as Record<string, number>[];
        add('round', 'ms', said.ms);
        add('rate', 'GB/s', (4 * elements) / said.ms / 1e6);
        add('sent', 'MiB', said.sentBytes / MIB);
        add('ring', 'MiB', codecs[codec].payloadBytes(elements) / MIB);
        add('cpu', 'ms', said.cpuMs);
      }
    } finally {
      await peers.stop();
    }
  }
  return series.results();
}
