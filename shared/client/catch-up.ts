// With backup workers: what a client does whose step went on without it. Its gradients are dropped whole, and it goes on
// with the newest open step. What it waits for is decided, and comes without it; so nobody waits for somebody who waits.
import type { Codec } from '../codec/codec.js';
import type { DecidedSteps } from './decided-steps.js';
import type { ExchangeOptions } from './exchange-options.js';
import type { Fetcher } from './fetcher.js';
import type { Receiver } from './receiver.js';

/** What catching up has read. */
export interface CaughtUp {
  /** Steps decided: the one that is open now. */
  step: number;
  bytesPulled: number;
  elementsPulled: number;
  decodeSeconds: number;
}

export interface CatchUpParts {
  readonly decided: DecidedSteps;
  readonly fetcher: Fetcher;
  readonly receiver: Receiver;
}

/**
 * As `Exchange.catchUp`.
 * @param training how each block travels in training
 */
export async function catchUp(
  { layout, memory }: ExchangeOptions,
  { decided, fetcher, receiver }: CatchUpParts,
  training: readonly Codec[],
  kinds: 'all' | 'exchanged',
): Promise<CaughtUp> {
  const target = memory.parameters;
  const blocks = layout.blocks.filter(({ kind }) => kinds === 'all' || kind !== 'frozen');
  // In one codec, so that a server is asked once, and answers with one version.
  const mixed = blocks.some(({ index }) => training[index] !== training[blocks[0].index]);
  const codec = mixed ? 'fp32' : undefined;
  const total = { bytesPulled: 0, elementsPulled: 0, decodeSeconds: 0 };
  for (;;) {
    const read = await fetcher.fetch(training, decided.newest, codec, target, blocks);
    total.bytesPulled += read.bytesPulled;
    total.elementsPulled += read.elementsPulled;
    total.decodeSeconds += read.decodeSeconds;
    // Steps went on in between: what was read is of several versions, or too old to be worth a gradient.
    if (read.skew > 0 || decided.newest > read.step) continue;
    // A server without blocks has nothing to fetch, and must not be overtaken.
    const asked = { step: read.step, fetched: false, target, codec: undefined };
    await receiver.expect(asked, [], decided.behind(read.step)).done;
    if (decided.newest > read.step) continue;
    return { step: read.step, ...total };
  }
}
