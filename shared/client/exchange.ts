// The exchange: pushes all contributions of a step and receives the new blocks, over all servers at once.
// Blocks go in canonical order, each encoded only when its server has room, and are decoded as they come.
// Works on memory that the caller fills and reads: gradients in, parameters out, fp32, laid out as a BlockLayout.
// This is its face, and the order of what happens in a step; its parts are links and their repair, what goes up
// (contributions, sender), what comes down (receiver, fetcher), changes of view, catching up with backup workers, and for
// whom it waits.
import { performance } from 'node:perf_hooks';
import type { Block } from '../blocks/blocks.js';
import type { Codec, DirectCodecName } from '../codec/codec.js';
import { codecs } from '../codec/registry.js';
import { RunError } from '../errors.js';
import type { StepOutcome__Output } from '../rpc/generated/gradloom/v1/StepOutcome.js';
import type { View__Output } from '../rpc/generated/gradloom/v1/View.js';
import type { Waiting__Output } from '../rpc/generated/gradloom/v1/Waiting.js';
import { isClocked, type RunSpec } from '../run/spec.js';
import { Usual, usually } from '../usual.js';
import { shardsOf } from '../view.js';
import { type CaughtUp, catchUp } from './catch-up.js';
import { Contributions } from './contributions.js';
import { DecidedSteps } from './decided-steps.js';
import type { ExchangeOptions, StepHeaderFields } from './exchange-options.js';
import { type Fetched, Fetcher } from './fetcher.js';
import { LinkRepair } from './link-repair.js';
import { type Age, ageOf, type Pending } from './pending.js';
import { Receiver } from './receiver.js';
import { Sender } from './sender.js';
import type { LinkHandlers, ServerLink } from './server-link.js';
import { ServerLinks } from './server-links.js';
import { added, moved, type Pushed, type StepResult } from './step-result.js';
import { ViewChanges } from './view-changes.js';
import { Waits } from './waits.js';

export type { ExchangeMemory, ExchangeOptions, StepHeaderFields } from './exchange-options.js';
export type { StepResult } from './step-result.js';

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #links: ServerLinks;
  readonly #views: ViewChanges;
  readonly #contributions: Contributions;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #fetcher: Fetcher;
  /** There where a link that is lost can be made again: of whoever only reads, or takes part in a run with one clock. */
  readonly #repair: LinkRepair | undefined;
  /** There with backup workers. */
  readonly #decided: DecidedSteps | undefined;
  #step: number;
  /** What steps take from their beginning here to their last block. */
  readonly #usual = new Usual();
  /** What they take from the end of one to that of the next. */
  readonly #usualStep = new Usual();
  /** When the last one ended (ms, monotonic); undefined before the first. */
  #endedMs: number | undefined;
  readonly #waits: Waits;
  /** Since when a step is under way (ms, monotonic); undefined while none is. */
  #since: number | undefined;

  private constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#links = new ServerLinks(options);
    this.#waits = new Waits(options.view.workers, this.#links, {
      exchange: this.#usual,
      step: this.#usualStep,
    });
    this.#views = new ViewChanges(options);
    const { spec } = this.#views;
    this.#step = spec.resume?.step ?? 0;
    if (spec.backupWorkers)
      this.#decided = new DecidedSteps(spec.workers, shardsOf(options.view).length, options.rank);
    this.#contributions = new Contributions(options, spec, this.#step);
    this.#sender = new Sender(options, this.#links, this.#contributions);
    this.#receiver = new Receiver(options, spec, {
      links: this.#links,
      views: this.#views,
      decided: this.#decided,
      isRepairing: (shard) => this.#repair?.isRepairing(shard) ?? false,
      fail: (error) => this.#fail(error),
    });
    this.#fetcher = new Fetcher(options, this.#training, this.#links, this.#receiver);
    const { rank, findView } = options;
    if (rank === undefined || !spec.backupWorkers)
      this.#repair = new LinkRepair({
        links: this.#links,
        peerDeadlineMs: options.peerDeadlineMs,
        handlersOf: (shard) => this.#handlers(shard),
        view: () => this.#views.number,
        subscribe: async (link) => {
          if (rank !== undefined) await link.subscribe(codecs[spec.codec].id as 1, this.#step);
        },
        ...(findView && { look: async () => this.place(await findView()) }),
        resume: (link) => this.#resume(link),
        onWaiting: (shard, seconds) =>
          options.onWaiting({
            step: this.#step,
            seconds,
            server: this.#links.addressOf(shard),
            workers: [`${this.#links.nameOf(shard)}, whose stream broke`],
          }),
        deadlineMs: () => this.#usual.deadlineMs,
        doing: () => this.doing(),
        fail: (error) => this.#fail(error),
        ...options.clock,
      });
  }

  /** One that is not connected yet; views may be told it from now on. */
  static create(options: ExchangeOptions): Exchange {
    return new Exchange(options);
  }

  /** Connects to every server of the view. Throws Refused or RunError. */
  static async open(options: ExchangeOptions): Promise<Exchange> {
    const exchange = new Exchange(options);
    await exchange.connect();
    return exchange;
  }

  /** Connects to the primary of every shard, whoever that is by then. Throws Refused or RunError. */
  async connect(): Promise<void> {
    const links = this.#links;
    const { rank, spec } = this.#options;
    for (const { shard, error } of await links.open((shard) => this.#handlers(shard)))
      this.#lost(shard, error);
    if (rank !== undefined)
      await Promise.all(links.all.map((link) => link.subscribe(codecs[spec.codec].id as 1)));
    await this.#repair?.settled();
    if (links.hasFailed) links.close();
    links.check();
  }

  /** How each block's contribution to the step under way travels. */
  get #training(): readonly Codec[] {
    return this.#contributions.codecsAt(this.#step);
  }

  /** Steps decided so far, as this client has seen. */
  get step(): number {
    return this.#step;
  }

  /** What this worker's contributions have left out so far, by the names that snapshots have for it: to read, or to fill. */
  get residuals(): ReadonlyMap<string, Float32Array<SharedArrayBuffer>> {
    return this.#contributions.residuals.arrays();
  }

  /** They have been filled. */
  residualsRestored(): void {
    this.#contributions.residuals.restored();
  }

  /** The run's spec as it stands under the view in force. */
  get spec(): RunSpec {
    return this.#views.spec;
  }

  /** Payload bytes sent and not released by the servers. */
  get inFlightBytes(): number {
    return this.#links.inFlightBytes;
  }

  /** What this client is in the midst of, compared with what is usual; in words that follow its name. */
  doing(): string {
    const step = `step ${this.#step + 1}`;
    if (this.#since === undefined) return `was before the exchange of ${step}`;
    const seconds = ((this.#now() - this.#since) / 1000).toFixed(1);
    return `was in the exchange of ${step}, for ${seconds} s; ${usually('an exchange', this.#usual)}`;
  }

  /** By server's id: seconds from the beginning of an exchange to its last block, in the mean of the last steps. */
  serverSeconds(): { server: number; seconds: number }[] {
    const missing = this.#receiver.underWay?.missing ?? [];
    const isMissing = (shard: number) => this.#links.ownOf(shard, missing).length > 0;
    const byServer = new Map<number, number>();
    for (const [shard, seconds] of this.#receiver.arrivals.seconds(performance.now(), isMissing)) {
      const server = this.#links.idOf(shard);
      byServer.set(server, Math.max(seconds, byServer.get(server) ?? 0));
    }
    return [...byServer].map(([server, seconds]) => ({ server, seconds }));
  }

  /** Ids of the servers whose blocks, or decision, the exchange under way waits for. */
  missing(): number[] {
    return [...new Set(this.#missing().map(({ index }) => this.#links.idOf(index)))];
  }

  #missing(): ServerLink[] {
    const { underWay } = this.#receiver;
    if (!underWay) return [];
    return this.#links.all.filter(
      ({ index }) => this.#links.ownOf(index, underWay.missing).length > 0 || underWay.undecided.has(index),
    );
  }

  /** Goes no further than to the end of the step under way before a view is told; returns the step that is next. */
  hold(): number {
    this.#views.hold();
    return this.#step + 1;
  }

  /**
   * What was held goes on: up to the step of this view under the old one. If somebody has left in the step that is under
   * way, or was about to begin it, what was done of it is done again.
   */
  change(view: View__Output): void {
    this.place(view);
    if (this.#views.change(view, this.#step)) this.#receiver.takeBack();
  }

  /** Other servers may hold the shards now, in the middle of a step. */
  place(view: View__Output): void {
    for (const { shard, from } of this.#links.place(view)) {
      const to = this.#links.nameOf(shard);
      // Whose silence it was does not count against who comes after.
      this.#waits.heard(shard, this.#now());
      this.#options.onTakeover?.({ shard, step: this.#step, from, to });
      this.#repair?.lost(shard, new RunError(`shard ${shard} has gone over from ${from} to ${to}`));
    }
  }

  /** Gives every block its first values, from the parameters' memory, exactly. The worker of rank 0 does this, once. */
  initialize(): Promise<void> {
    return this.#sender.initialize();
  }

  /**
   * Pulls blocks at one version, when `step` steps are decided, to the byte address `target`. With a lossy codec
   * that is not the parameters' memory once training goes on: differences are added to what it holds.
   * @param codecName undefined: each block as it travels in training, with a lossy codec exactly
   * @returns how many steps apart the blocks were read (0: one version), and the updates applied to the newest of them
   */
  fetch(
    step: number,
    codecName: DirectCodecName | undefined,
    target: number,
    blocks?: readonly Block[],
  ): Promise<Fetched> {
    return this.#fetcher.fetch(this.#training, step, codecName, target, blocks);
  }

  /**
   * Looks at the gradients of a step before its header is written: whether each can be encoded, that is, is finite
   * and within its codec's range. What it finds of a block that travels without residual is used when that is encoded.
   * @param lossScale power of two that the gradients were multiplied by
   */
  measure(lossScale = 1): boolean {
    return this.#contributions.measure(this.#step, this.#views.spec, lossScale);
  }

  /**
   * One step: sends the header and, if all gradients are finite, every contribution; receives every new block.
   * Gradients are read from, parameters written to, the memory given. Throws Refused or RunError.
   */
  async pushPull(header: StepHeaderFields): Promise<StepResult> {
    this.#links.check();
    const since = this.#now();
    this.#since = since;
    try {
      return await this.#takeStep(header);
    } finally {
      const now = this.#now();
      this.#since = undefined;
      this.#usual.observe(now - since);
      if (this.#endedMs !== undefined) this.#usualStep.observe(now - this.#endedMs);
      this.#endedMs = now;
    }
  }

  async #takeStep(header: StepHeaderFields): Promise<StepResult> {
    // Differences are added to what the server takes this worker to hold: the initial values.
    if (this.#fetcher.lacksBases) await this.#fetcher.fetchBases(this.#training, this.#step);
    const started = performance.now();
    if (this.#decided && this.#decided.newest > this.#step)
      return this.#late(started, { bytes: 0, elements: 0, encodeSeconds: 0 });
    const exchanged = this.#options.layout.blocks.filter((block) => block.kind !== 'frozen');
    let { pending, pushed } = await this.#attempt(header, exchanged);
    while (pending.again) ({ pending, pushed } = await this.#attempt(header, exchanged));
    const outcome = pending.outcome as StepOutcome__Output;
    if (this.#decided?.leavesOut(outcome)) return this.#late(started, pushed);
    // An applied step brought every block's update, and each holds this worker's contribution.
    this.#contributions.settle(!outcome.skipped);
    this.#sender.settled();
    this.#step++;
    const clocked = isClocked(this.#views.spec);
    const read = (await this.#enterView()) ?? ageOf(pending.stepsSeen, this.#step);
    const again = this.#sender.takeResumed();
    return {
      outcome,
      step: this.#step,
      taken: true,
      bytesRetried: again.retriedBytes,
      passed: this.#decided?.take(),
      ...moved(started, added(pushed, again), {
        bytesPulled: pending.bytes,
        elementsPulled: pending.elements,
        decodeSeconds: pending.decodeSeconds,
      }),
      read,
      clocked,
    };
  }

  /**
   * With backup workers: pulls the newest parameters into their memory, at one version, and makes the step that is then
   * open this client's next one. What is waited for is decided, and comes without this worker.
   * @param kinds what is pulled: the first time also what never changes
   */
  async catchUp(kinds: 'all' | 'exchanged' = 'exchanged'): Promise<CaughtUp> {
    const parts = {
      decided: this.#decided as DecidedSteps,
      fetcher: this.#fetcher,
      receiver: this.#receiver,
    };
    const read = await catchUp(this.#options, parts, this.#training, kinds);
    this.#step = read.step;
    return read;
  }

  /** Ends all streams; an exchange under way fails with this error. */
  close(error = new RunError('the exchange was closed')): void {
    this.#fail(error);
  }

  /** Sends a step and waits for what comes of it, or for its being taken back. */
  async #attempt(
    header: StepHeaderFields,
    exchanged: readonly Block[],
  ): Promise<{ pending: Pending; pushed: Pushed }> {
    const { parameters } = this.#options.memory;
    const asked = { step: this.#step + 1, fetched: false, target: parameters, codec: undefined };
    const pending = this.#receiver.expect(asked, exchanged);
    // A skipped step takes no more contributions, nor does one that went on without this worker.
    const stopped = () =>
      pending.again ||
      (pending.outcome !== undefined &&
        (pending.outcome.skipped || this.#decided?.leavesOut(pending.outcome) === true));
    const pushed = await this.#sender.sendStep(this.#step, this.#views.number, header, exchanged, stopped);
    await pending.done;
    return { pending, pushed };
  }

  /** A step has gone on without this worker: its gradients are dropped whole, and it goes on with the newest open step. */
  async #late(started: number, pushed: Pushed): Promise<StepResult> {
    this.#contributions.settle(false);
    const read = await this.catchUp();
    return {
      outcome: this.#decided?.last as StepOutcome__Output,
      step: this.#step,
      taken: false,
      bytesRetried: 0,
      passed: this.#decided?.take(),
      ...moved(started, pushed, read),
      read: { step: this.#step, skew: 0 },
      clocked: false,
    };
  }

  /**
   * At the end of a step: waits while a view is being made, and changes to it at its step. What was read under clocks
   * of their own is then read again, when every worker has come so far; so all begin with the same values.
   */
  async #enterView(): Promise<Age | undefined> {
    await this.#views.decided;
    this.#links.check();
    const view = this.#views.dueAt(this.#step);
    if (!view) return undefined;
    const read = isClocked(this.#views.spec)
      ? await this.fetch(this.#step, undefined, this.#options.memory.parameters)
      : undefined;
    this.#views.enter(view);
    return read;
  }

  #handlers(server: number): LinkHandlers {
    return {
      heard: () => this.#waits.heard(server, this.#now()),
      block: (bulk) => this.#receiver.block(server, bulk),
      view: (number) => this.#views.tell(server, number),
      outcome: (outcome) => this.#receiver.outcome(server, outcome),
      waiting: (waiting) => this.#waiting(server, waiting),
      acknowledged: (step, blocks) => this.#sender.acknowledged(step, blocks),
      lost: (error) => this.#lost(server, error),
    };
  }

  #lost(shard: number, error: RunError): void {
    const isReader = this.#options.rank === undefined;
    if (this.#repair && (isReader || !isClocked(this.#views.spec))) this.#repair.lost(shard, error);
    else this.#fail(error);
  }

  /** A new link has taken the place of one that was lost. */
  #resume(link: ServerLink): void {
    const underWay = this.#receiver.underWay;
    if (underWay?.fetched) this.#fetcher.resume(link, underWay.missing);
    else
      void this.#sender.resume(link, underWay?.missing ?? [], underWay?.undecided.has(link.index) ?? false);
  }

  #now(): number {
    return this.#options.clock?.now() ?? performance.now();
  }

  /** A server tells for whom its step waits: said on where this client waits, too. */
  #waiting(shard: number, waiting: Waiting__Output): void {
    if (!this.#receiver.underWay) return;
    const missing = this.#missing().map(({ index }) => index);
    const wait = { step: this.#step, sinceMs: this.#since, missing };
    const told = this.#waits.told(shard, waiting, wait, this.#now());
    if (told) this.#options.onWaiting(told);
  }

  /** The exchange ends: everybody who waits in it is told. */
  #fail(error: RunError): void {
    this.#links.fail(error);
    this.#sender.release();
    this.#views.release();
    this.#receiver.fail(error);
  }
}
