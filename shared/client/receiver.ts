// What comes down: new blocks and verdicts of the step under way, or the blocks of a fetch. One thing is waited for at
// a time; a block is checked and decoded as it comes, straight to where it belongs, and whatever nobody asked for ends
// the exchange.
import { performance } from 'node:perf_hooks';
import { type Block, type BlockLayout, blockOffset } from '../blocks/blocks.js';
import type { Codec } from '../codec/codec.js';
import { codecs } from '../codec/registry.js';
import { RunError } from '../errors.js';
import { TIMED_STEPS } from '../limits.js';
import type { Bulk } from '../rpc/bulk.js';
import type { StepOutcome__Output } from '../rpc/generated/gradloom/v1/StepOutcome.js';
import { codecsByStep } from '../run/block-codecs.js';
import { isClocked, type RunSpec, stalenessOf } from '../run/spec.js';
import { Arrivals } from './arrivals.js';
import type { DecidedSteps } from './decided-steps.js';
import type { ExchangeMemory, ExchangeOptions } from './exchange-options.js';
import { type Asked, type Pending, startPending } from './pending.js';
import type { ServerLinks } from './server-links.js';
import { takePayload } from './take-payload.js';
import type { ViewChanges } from './view-changes.js';

export interface ReceiverParts {
  readonly links: ServerLinks;
  readonly views: ViewChanges;
  /** There with backup workers. */
  readonly decided: DecidedSteps | undefined;
  /** Whether the link of a shard is new, and brings first what the one before it has missed. */
  isRepairing(shard: number): boolean;
  /** A server sent what it may not: ends the exchange. */
  fail(error: RunError): void;
}

export class Receiver {
  /** When the blocks of the last steps came, by shard. */
  readonly arrivals = new Arrivals(TIMED_STEPS);
  readonly #layout: BlockLayout;
  readonly #memory: ExchangeMemory;
  readonly #parts: ReceiverParts;
  /** How each block's new values of a step travel. */
  readonly #codecsAt: (step: number) => readonly Codec[];
  #pending: Pending | undefined;

  constructor({ layout, memory }: ExchangeOptions, spec: RunSpec, parts: ReceiverParts) {
    this.#layout = layout;
    this.#memory = memory;
    this.#parts = parts;
    this.#codecsAt = codecsByStep(spec, layout.blocks, 'down');
  }

  /**
   * Begins to wait for blocks, and of a step also for the verdict of every server; also one without a block decides it,
   * and must not be overtaken.
   * @param undecided servers whose verdict is waited for, if not all
   */
  expect(asked: Asked, blocks: readonly Block[], undecided?: readonly number[]): Pending {
    if (this.#pending) throw new Error('one exchange at a time');
    const { links } = this.#parts;
    links.check();
    const servers = asked.fetched ? [] : (undecided ?? links.all.map(({ index }) => index));
    const pending = startPending(asked, blocks, servers);
    // Whoever awaits `done` sees the error; this keeps Node quiet should it come while blocks are still being sent.
    pending.done.catch(() => undefined);
    this.#pending = pending;
    if (!asked.fetched) this.arrivals.begin(performance.now());
    this.#settle(pending);
    return pending;
  }

  /** What has not come of what is waited for; undefined: nothing is. */
  get underWay(): { fetched: boolean; missing: Block[]; undecided: ReadonlySet<number> } | undefined {
    const pending = this.#pending;
    return (
      pending && {
        fetched: pending.fetched,
        missing: [...pending.missing].map((index) => this.#layout.blocks[index]),
        undecided: pending.undecided,
      }
    );
  }

  /** The step under way was taken back: nothing of it is waited for any more, and it is to be done again. */
  takeBack(): void {
    const pending = this.#pending;
    if (!pending || pending.fetched) return;
    pending.again = true;
    this.#pending = undefined;
    pending.resolve();
  }

  /** Nothing more comes. */
  fail(error: RunError): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(error);
  }

  /** A server says what came of a step. */
  outcome(server: number, outcome: StepOutcome__Output): void {
    const { decided, views } = this.#parts;
    decided?.tell(server, outcome);
    const pending = this.#pending;
    if (!pending || views.isWithdrawn(server) || pending.fetched || outcome.step + 1 !== pending.step) return;
    pending.outcome = outcome;
    pending.undecided.delete(server);
    // Of a step that went on without this worker nothing comes; what others decide of it changes nothing.
    if (pending.missing.size > 0 && decided?.leavesOut(outcome)) {
      pending.missing.clear();
      pending.undecided.clear();
    }
    if (outcome.skipped && !isClocked(views.spec)) this.#skipped(pending, server);
    this.#settle(pending);
  }

  /** A server sent a block. */
  block(server: number, bulk: Bulk): void {
    const { links, views, fail } = this.#parts;
    if (!bulk.fetched && views.isWithdrawn(server)) return;
    const fault = this.#take(server, bulk);
    if (fault) fail(new RunError(`${links.nameOf(server)} sent ${fault}`));
  }

  /** Decodes a block that is waited for; or says what of it was not to be sent, and then nothing has changed. */
  #take(server: number, bulk: Bulk): string | undefined {
    const { links, views } = this.#parts;
    const pending = this.#pending;
    const block = this.#layout.blocks[bulk.block];
    if (!block || !links.owns(server, bulk.block)) return `block ${bulk.block}, which is not its own`;
    // A new link brings first what its shard has beyond a step: whole, and also what had come over the link before.
    const again = bulk.fetched && this.#parts.isRepairing(server);
    const isWanted =
      pending?.fetched === false && pending.missing.has(bulk.block) && bulk.step === pending.step;
    if (again && !isWanted) return undefined;
    if (!pending || (pending.fetched !== bulk.fetched && !again) || !pending.missing.has(bulk.block))
      return `block ${bulk.block} that nobody asked for`;
    if (pending.fetched ? bulk.step < pending.step : bulk.step !== pending.step)
      return `block ${bulk.block} of step ${bulk.step}, step ${pending.step} was expected`;
    const staleness = stalenessOf(views.spec);
    if (!pending.fetched && bulk.step - bulk.clockMin > staleness)
      return `block ${bulk.block} for step ${bulk.step} with all updates up to step ${bulk.clockMin} only, a staleness of ${staleness} was agreed`;
    const own = this.#codecsAt(pending.step - 1)[block.index];
    const expected = pending.codec ? codecs[pending.codec] : again && own.lossy ? codecs.fp32 : own;
    const started = performance.now();
    const fault = takePayload(bulk, block.elements, expected, {
      kernels: this.#memory.kernels,
      scratch: this.#memory.scratch,
      target: pending.target + 4 * blockOffset(this.#layout, block),
    });
    if (fault) return `a bad block ${bulk.block}: ${fault}`;
    pending.decodeSeconds += (performance.now() - started) / 1000;
    if (!links.inProcess(server)) {
      pending.bytes += bulk.payload.byteLength;
      pending.elements += block.elements;
    }
    pending.updates = Math.max(pending.updates, bulk.version);
    for (const seen of [bulk.clockMin, bulk.clockMax]) pending.stepsSeen.add(seen);
    pending.missing.delete(bulk.block);
    if (!pending.fetched) this.arrivals.arrived(server, performance.now());
    this.#settle(pending);
    return undefined;
  }

  /** A step that all skip brings no blocks: those of this server are not waited for. */
  #skipped(pending: Pending, server: number): void {
    for (const block of pending.missing)
      if (this.#parts.links.owns(server, block)) pending.missing.delete(block);
  }

  #settle(pending: Pending): void {
    if (pending.missing.size > 0 || pending.undecided.size > 0) return;
    this.#pending = undefined;
    if (!pending.fetched) this.arrivals.end();
    pending.resolve();
  }
}
