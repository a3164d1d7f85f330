// How long two peers take to sum 64 MiB of fp32 gradients between them and to update the parameters that both then
// hold: nodes with both roles, each with half of the model, as processes of their own. Cases are codec and optimizer;
// plain sgd adds next to nothing to what an all-reduce does. `round` is what the compute threads wait, `rate` the
// gradients' fp32 bytes over it (an all-reduce's figure), `sent` what one peer sends, and `ring` the least that any
// all-reduce over two peers must, in the same codec. `cpu` is all that one peer computes, transport included.
import type { CodecName } from '../../shared/codec/codec.js';
import { codecs } from '../../shared/codec/registry.js';
import { BLOCK_ELEMENTS_MAX } from '../../shared/limits.js';
import { StubNodes, warmUpRounds } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

const MIB = 2 ** 20;
const CASES: readonly [CodecName, 'sgd' | 'adam'][] = [
  ['fp32', 'sgd'],
  ['fp32', 'adam'],
  ['fp16', 'sgd'],
  ['fp16', 'adam'],
];

async function measure(
  codec: CodecName,
  optimizer: string,
  elements: number,
  warmUp: number,
  rounds: number,
  series: Series,
): Promise<void> {
  const flags = ['--serve', `--codec=${codec}`, `--optimizer=${optimizer}`];
  flags.push(`--elements=${elements}`, `--warm-up=${warmUp}`);
  const name = `${codec}-${optimizer}`;
  const peers = new StubNodes();
  try {
    const first = await peers.start(flags);
    await peers.start([...flags, `--join=${first.ready.address}`]);
    await peers.warm();
    const [said] = await peers.rounds(rounds);
    const ms = said.ms as number;
    series.add(name, 'round', 'ms', ms);
    series.add(name, 'rate', 'GB/s', (4 * elements) / ms / 1e6);
    series.add(name, 'sent', 'MiB', (said.sentBytes as number) / MIB);
    series.add(name, 'ring', 'MiB', codecs[codec].payloadBytes(elements) / MIB);
    series.add(name, 'cpu', 'ms', said.cpuMs as number);
  } finally {
    await peers.stop();
  }
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: BenchOptions): Promise<Result[]> {
  const blocks = options.small ? 2 : 64;
  const rounds = options.small ? 1 : 8;
  const warmUp = warmUpRounds(blocks, options.small);
  const series = new Series('peers');
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    await options.between?.();
    for (const [codec, optimizer] of CASES)
      await measure(codec, optimizer, blocks * BLOCK_ELEMENTS_MAX, warmUp, rounds, series);
  }
  return series.results();
}
