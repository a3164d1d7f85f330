// The exchange: pushes all contributions of a step and receives the new blocks, over all servers at once.
// Blocks go in canonical order, each encoded only when its server has room, and are decoded as they come.
// Works on memory that the caller fills and reads: gradients in, parameters out, fp32, laid out as a BlockLayout.
import { performance } from 'node:perf_hooks';
import { type Block, type BlockLayout, blockOffset } from '../blocks/blocks.js';
import { schemaHash } from '../blocks/manifest.js';
import type { Codec, DirectCodecName } from '../codec/codec.js';
import { codecs } from '../codec/registry.js';
import { RunError } from '../errors.js';
import type { Kernels } from '../kernels/kernels.js';
import { TIMED_STEPS } from '../limits.js';
import type { Bulk } from '../rpc/bulk.js';
import type { StepOutcome__Output } from '../rpc/generated/gradloom/v1/StepOutcome.js';
import type { View__Output } from '../rpc/generated/gradloom/v1/View.js';
import type { ParametersStreams } from '../rpc/in-process.js';
import { PROTOCOL_VERSION } from '../rpc/proto.js';
import {
  codecsByStep,
  isClocked,
  type RunSpec,
  specUnder,
  stalenessOf,
  workerMomentum,
} from '../run-spec.js';
import { Arrivals } from './arrivals.js';
import { DecidedSteps, type PassedSteps } from './decided-steps.js';
import { type Age, ageOf, type Pending, startPending } from './pending.js';
import { Residuals } from './residuals.js';
import { ServerLink } from './server-link.js';
import { takePayload } from './take-payload.js';

export interface ExchangeMemory {
  readonly kernels: Kernels;
  /** Byte addresses of fp32 arrays of `layout.elementsPadded`. */
  readonly gradients: number;
  readonly parameters: number;
  /** Byte address of room for the payload of a block and STAGE_SPARE_BYTES. */
  readonly scratch: number;
  /** Byte address of `residualBytes(...)` zeros, which only a lossy codec needs. */
  readonly residuals?: number;
}

export interface ExchangeOptions {
  run: string;
  /** Rank in the view; undefined: an observer, who only fetches. */
  rank: number | undefined;
  spec: RunSpec;
  layout: BlockLayout;
  view: View__Output;
  memory: ExchangeMemory;
  peerDeadlineMs: number;
  /** Streams to a server that is reached other than over the network: a node's own shard. */
  streamsTo?(address: string): ParametersStreams | undefined;
  /** From the step that is next another view holds; told at the end of the step before, with every block at hand. */
  onView?(view: View__Output, spec: RunSpec): void;
  /** Somebody has been waited for: told by a server every second. */
  onWaiting(waiting: { step: number; workers: string[]; seconds: number; server: string }): void;
}

export interface StepHeaderFields {
  samples: number;
  /** Whether every gradient can be encoded; see `Exchange.measure`. */
  allFinite: boolean;
  lossScale: number;
  lossSum: number;
  correct: number;
}

export interface StepResult {
  outcome: StepOutcome__Output;
  /** Steps decided: the client's next step. With backup workers it may have passed some. */
  step: number;
  /** False: with backup workers the step went on without this one, and its gradients were dropped. */
  taken: boolean;
  /** With backup workers: what came of all steps since the last one. */
  passed?: PassedSteps;
  encodeSeconds: number;
  decodeSeconds: number;
  /** What is left of the exchange's time: sending, the servers' work, and waiting for the other workers. */
  waitSeconds: number;
  /** Payload on the wire: without what stays in this process. */
  bytesPushed: number;
  bytesPulled: number;
  /** Numbers that it stands for. */
  elementsPushed: number;
  elementsPulled: number;
  /** As of `fetch`: how old, and how far apart, the new blocks are. */
  read: Age;
  /** Whether each worker had a clock of its own. */
  clocked: boolean;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  #links: ServerLink[] = [];
  #pending: Pending | undefined;
  #unacknowledged = new Set<number>();
  #acknowledged: (() => void) | undefined;
  #failure: RunError | undefined;
  #step: number;
  /** As it stands under the view in force. */
  #spec: RunSpec;
  #view: number;
  /** The view that is decided and not yet in force. */
  #next: View__Output | undefined;
  /** The last view that took a step back, and of each server the last view that it has told. */
  #withdrawn = 0;
  readonly #told: number[] = [];
  /** There while a view is being made. */
  #held: { readonly decided: Promise<void>; readonly release: () => void } | undefined;
  /** The first tensor, from 1, that `measure` found at fault; 0: none. */
  #faultyTensor = 0;
  /** Largest magnitude of each block in a direct codec, from `measure` to the end of the step. */
  #absmax: (number | undefined)[] = [];
  /** When the servers' blocks come. */
  readonly #arrivals = new Arrivals(TIMED_STEPS);
  /** How each block travels in training: its contributions, and its new values. */
  readonly #codecsAt: (step: number) => readonly Codec[];
  readonly #updateCodecsAt: (step: number) => readonly Codec[];
  readonly #residuals: Residuals;
  /** There with backup workers. */
  readonly #decided: DecidedSteps | undefined;
  /** Blocks whose new values come as differences to the parameters' memory, as long as that has no first values. */
  #baseless: readonly Block[];

  private constructor(options: ExchangeOptions) {
    this.#options = options;
    const { layout, memory, view } = options;
    const spec = specUnder(options.spec, view);
    this.#spec = spec;
    this.#view = view.number;
    this.#step = spec.resume?.step ?? 0;
    if (spec.backupWorkers) this.#decided = new DecidedSteps(spec.workers, view.servers.length);
    this.#codecsAt = codecsByStep(spec, layout.blocks, 'up');
    this.#updateCodecsAt = codecsByStep(spec, layout.blocks, 'down');
    this.#residuals = new Residuals(
      memory.kernels,
      layout,
      // Who only reads leaves nothing out, and has no room for it.
      options.rank === undefined ? [] : this.#codecs,
      memory.residuals,
      workerMomentum(spec),
    );
    this.#baseless = layout.blocks.filter(({ index }) => this.#codecs[index].lossy);
  }

  /** Connects to every server of the view. Throws Refused or RunError. */
  static async open(options: ExchangeOptions): Promise<Exchange> {
    const exchange = new Exchange(options);
    const { view, spec, rank } = options;
    const hello = {
      protocolVersion: PROTOCOL_VERSION,
      run: options.run,
      view: view.number,
      worker: rank ?? 0,
      schemaHash: schemaHash(spec.tensors),
      observer: rank === undefined,
    };
    const opened = await Promise.allSettled(
      view.servers.map(({ id, address }, index) =>
        ServerLink.open({
          index,
          id,
          address,
          hello,
          peerDeadlineMs: options.peerDeadlineMs,
          streams: options.streamsTo?.(address),
          handlers: exchange.#handlers(index),
        }),
      ),
    );
    exchange.#links = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = opened.find((result) => result.status === 'rejected');
    if (failed) {
      exchange.close();
      throw failed.reason;
    }
    if (rank !== undefined) {
      await Promise.all(exchange.#links.map((link) => link.subscribe(codecs[spec.codec].id as 1)));
      exchange.#check();
    }
    return exchange;
  }

  /** How each block's contribution to the step under way travels. */
  get #codecs(): readonly Codec[] {
    return this.#codecsAt(this.#step);
  }

  /** Steps decided so far, as this client has seen. */
  get step(): number {
    return this.#step;
  }

  /** What this worker's contributions have left out so far, by the names that snapshots have for it: to read, or to fill. */
  get residuals(): ReadonlyMap<string, Float32Array<SharedArrayBuffer>> {
    return this.#residuals.arrays();
  }

  /** They have been filled. */
  residualsRestored(): void {
    this.#residuals.restored();
  }

  /** The run's spec as it stands under the view in force. */
  get spec(): RunSpec {
    return this.#spec;
  }

  /** Goes no further than to the end of the step under way before a view is told; returns the step that is next. */
  hold(): number {
    if (!this.#held) {
      let release = () => {};
      const decided = new Promise<void>((resolve) => {
        release = resolve;
      });
      this.#held = { decided, release };
    }
    return this.#step + 1;
  }

  /** What was held goes on: up to the step of this view under the old one. */
  change(view: View__Output): void {
    if (view.departed && view.number > this.#view && view.fromStep <= this.#step) this.#withdraw(view);
    else if (view.number > this.#view) this.#next = view;
    this.#held?.release();
    this.#held = undefined;
  }

  /** Somebody has left in the step that is under way, or was about to begin it: what was done of it is done again. */
  #withdraw(view: View__Output): void {
    this.#withdrawn = view.number;
    this.#adopt(view);
    const pending = this.#pending;
    if (!pending || pending.fetched) return;
    pending.again = true;
    this.#pending = undefined;
    pending.resolve();
  }

  #adopt(view: View__Output): void {
    this.#view = view.number;
    this.#spec = specUnder(this.#spec, view);
    this.#options.onView?.(view, this.#spec);
  }

  /** Whether what a server says belongs to a step that was taken back. */
  #isWithdrawn(server: number): boolean {
    return (this.#told[server] ?? 0) < this.#withdrawn;
  }

  /** Payload bytes sent and not released by the servers. */
  get inFlightBytes(): number {
    return this.#links.reduce((sum, link) => sum + link.inFlightBytes, 0);
  }

  /** By server's id: seconds from the beginning of an exchange to its last block, in the mean of the last steps. */
  serverSeconds(): { server: number; seconds: number }[] {
    const { view } = this.#options;
    const missing = new Set([...(this.#pending?.missing ?? [])].map((block) => view.placement[block]));
    const seconds = this.#arrivals.seconds(performance.now(), (server) => missing.has(server));
    return [...seconds].map(([server, mean]) => ({ server: view.servers[server].id, seconds: mean }));
  }

  /** Gives every block its first values, from the parameters' memory, exactly. The worker of rank 0 does this, once. */
  async initialize(): Promise<void> {
    const { layout } = this.#options;
    this.#unacknowledged = new Set(layout.blocks.map(({ index }) => index));
    const acknowledged = new Promise<void>((resolve) => {
      this.#acknowledged = resolve;
    });
    const { parameters } = this.#options.memory;
    await this.#sendAll(layout.blocks, 'initial', 0, (block, dst) =>
      codecs.fp32.encode(
        this.#options.memory.kernels,
        parameters + 4 * blockOffset(layout, block),
        block.elements,
        dst,
      ),
    );
    this.#check();
    await acknowledged;
    this.#check();
  }

  /**
   * Pulls blocks at one version, when `step` steps are decided, to the byte address `target`. With a lossy codec
   * that is not the parameters' memory once training goes on: differences are added to what it holds.
   * @param codecName undefined: each block as it travels in training, with a lossy codec exactly
   * @returns how many steps apart the blocks were read (0: one version), and the updates applied to the newest of them
   */
  async fetch(
    step: number,
    codecName: DirectCodecName | undefined,
    target: number,
    blocks?: readonly Block[],
  ): Promise<Age & { bytesPulled: number; elementsPulled: number; decodeSeconds: number; updates: number }> {
    const { layout, view, memory } = this.#options;
    const wanted = blocks ?? layout.blocks;
    let bytes = 0;
    let elements = 0;
    let decodeSeconds = 0;
    let updates = 0;
    const seen = new Set<number>();
    const groups = new Map<DirectCodecName, Block[]>();
    for (const block of wanted) {
      const own = this.#codecs[block.index];
      const codec = codecName ?? (own.lossy ? 'fp32' : own.name);
      const group = groups.get(codec);
      if (group) group.push(block);
      else groups.set(codec, [block]);
    }
    // Training begins with what the servers take this worker to hold, to which the differences are added.
    const held = target === memory.parameters && codecName === undefined;
    for (const [codec, group] of groups) {
      const pending = this.#expect(step, true, target, codec, group);
      for (const link of this.#links) {
        const own = group
          .filter(({ index }) => view.placement[index] === link.index)
          .map(({ index }) => index);
        if (own.length > 0) link.fetch(step, codecs[codec].id as 1, own, held && codec === 'fp32');
      }
      await pending.done;
      bytes += pending.bytes;
      elements += pending.elements;
      decodeSeconds += pending.decodeSeconds;
      updates = Math.max(updates, pending.updates);
      for (const value of pending.stepsSeen) seen.add(value);
    }
    if (target === memory.parameters && codecName === undefined && blocks === undefined) this.#baseless = [];
    return { ...ageOf(seen, step), bytesPulled: bytes, elementsPulled: elements, decodeSeconds, updates };
  }

  /**
   * One step: sends the header and, if all gradients are finite, every contribution; receives every new block.
   * Gradients are read from, parameters written to, the memory given. Throws Refused or RunError.
   */
  async pushPull(header: StepHeaderFields): Promise<StepResult> {
    const { layout, memory } = this.#options;
    this.#check();
    // Differences are added to what the server takes this worker to hold: the initial values.
    if (this.#baseless.length > 0) {
      await this.fetch(this.#step, undefined, memory.parameters, this.#baseless);
      this.#baseless = [];
    }
    const started = performance.now();
    if (this.#decided && this.#decided.newest > this.#step)
      return this.#late(started, { bytes: 0, elements: 0, encodeSeconds: 0 });
    const exchanged = layout.blocks.filter((block) => block.kind !== 'frozen');
    let { pending, pushed } = await this.#attempt(header, exchanged);
    while (pending.again) ({ pending, pushed } = await this.#attempt(header, exchanged));
    const outcome = pending.outcome as StepOutcome__Output;
    if (this.#isOut(outcome)) return this.#late(started, pushed);
    // An applied step brought every block's update, and each holds this worker's contribution.
    this.#residuals.settle(!outcome.skipped);
    this.#arrivals.end();
    this.#step++;
    this.#absmax.length = 0;
    const clocked = isClocked(this.#spec);
    const read = (await this.#enterView()) ?? ageOf(pending.stepsSeen, this.#step);
    const seconds = (performance.now() - started) / 1000;
    return {
      outcome,
      step: this.#step,
      taken: true,
      passed: this.#decided?.take(),
      encodeSeconds: pushed.encodeSeconds,
      decodeSeconds: pending.decodeSeconds,
      waitSeconds: Math.max(0, seconds - pushed.encodeSeconds - pending.decodeSeconds),
      bytesPushed: pushed.bytes,
      bytesPulled: pending.bytes,
      elementsPushed: pushed.elements,
      elementsPulled: pending.elements,
      read,
      clocked,
    };
  }

  /** A step has gone on without this worker: its gradients are dropped whole, and it goes on with the newest open step. */
  async #late(
    started: number,
    pushed: { bytes: number; elements: number; encodeSeconds: number },
  ): Promise<StepResult> {
    this.#residuals.settle(false);
    this.#absmax.length = 0;
    const { bytesPulled, elementsPulled, decodeSeconds } = await this.catchUp();
    const seconds = (performance.now() - started) / 1000;
    return {
      outcome: this.#decided?.last as StepOutcome__Output,
      step: this.#step,
      taken: false,
      passed: this.#decided?.take(),
      encodeSeconds: pushed.encodeSeconds,
      decodeSeconds,
      waitSeconds: Math.max(0, seconds - pushed.encodeSeconds - decodeSeconds),
      bytesPushed: pushed.bytes,
      bytesPulled,
      elementsPushed: pushed.elements,
      elementsPulled,
      read: { step: this.#step, skew: 0 },
      clocked: false,
    };
  }

  /**
   * With backup workers: pulls the newest parameters into their memory, at one version, and makes the step that is then
   * open this client's next one. What is waited for is decided, and comes without this worker.
   * @param kinds what is pulled: the first time also what never changes
   */
  async catchUp(
    kinds: 'all' | 'exchanged' = 'exchanged',
  ): Promise<{ bytesPulled: number; elementsPulled: number; decodeSeconds: number }> {
    const { memory, layout } = this.#options;
    const blocks = layout.blocks.filter(({ kind }) => kinds === 'all' || kind !== 'frozen');
    // In one codec, so that a server is asked once, and answers with one version.
    const mixed = blocks.some(({ index }) => this.#codecs[index] !== this.#codecs[blocks[0].index]);
    const decided = this.#decided as DecidedSteps;
    const total = { bytesPulled: 0, elementsPulled: 0, decodeSeconds: 0 };
    for (;;) {
      const read = await this.fetch(decided.newest, mixed ? 'fp32' : undefined, memory.parameters, blocks);
      total.bytesPulled += read.bytesPulled;
      total.elementsPulled += read.elementsPulled;
      total.decodeSeconds += read.decodeSeconds;
      // Steps went on in between: what was read is of several versions, or too old to be worth a gradient.
      if (read.skew > 0 || decided.newest > read.step) continue;
      // A server without blocks has nothing to fetch, and must not be overtaken.
      const pending = this.#expect(read.step, false, memory.parameters, undefined, []);
      pending.undecided = new Set(decided.behind(read.step));
      this.#settle(pending);
      await pending.done;
      if (decided.newest > read.step) continue;
      this.#step = read.step;
      return total;
    }
  }

  /** Whether a step has gone on without this worker. */
  #isOut({ contributors }: StepOutcome__Output): boolean {
    return this.#decided !== undefined && !contributors.includes(this.#options.rank as number);
  }

  /**
   * Looks at the gradients of a step before its header is written: whether each can be encoded, that is, is finite
   * and within its codec's range. What it finds of a block that travels without residual is used when that is encoded.
   * @param lossScale power of two that the gradients were multiplied by
   */
  measure(lossScale = 1): boolean {
    const { layout, memory } = this.#options;
    this.#absmax.length = 0;
    this.#faultyTensor = 0;
    // Where a worker may be put out for it, it says itself that a gradient is above the limit.
    const { elastic, gradientLimit = Number.POSITIVE_INFINITY } = this.#spec;
    return layout.blocks.every((block) => {
      if (block.kind === 'frozen') return true;
      const limit =
        elastic && block.kind === 'trainable' ? gradientLimit * lossScale : Number.POSITIVE_INFINITY;
      const at = memory.gradients + 4 * blockOffset(layout, block);
      const codec = this.#codecs[block.index];
      if (codec.lossy) return this.#residuals.encodable(codec, block, at, lossScale);
      const absmax = memory.kernels.absmax(at, block.elements);
      this.#absmax[block.index] = absmax;
      const fits = absmax < codec.magnitudeLimit && absmax <= limit;
      if (!fits) this.#faultyTensor = block.tensor + 1;
      return fits;
    });
  }

  /** Ends all streams; an exchange under way fails. */
  close(): void {
    this.#held?.release();
    for (const link of this.#links) link.close();
    this.#fail(new RunError('the exchange was closed'));
  }

  /** Sends a step and waits for what comes of it, or for its being taken back. */
  async #attempt(header: StepHeaderFields, exchanged: readonly Block[]) {
    const { parameters } = this.#options.memory;
    const pending = this.#expect(this.#step + 1, false, parameters, undefined, exchanged);
    this.#arrivals.begin(performance.now());
    const faultyTensor = header.allFinite ? 0 : this.#faultyTensor;
    for (const link of this.#links)
      link.header({ step: this.#step, view: this.#view, faultyTensor, ...header });
    const pushed = header.allFinite
      ? await this.#sendAll(
          exchanged,
          'contribution',
          this.#step,
          (block, dst) => this.#encode(block, header.lossScale, dst),
          // A skipped step takes no more contributions, nor does one that went on without this worker.
          () =>
            pending.again ||
            (pending.outcome !== undefined && (pending.outcome.skipped || this.#isOut(pending.outcome))),
        )
      : { bytes: 0, elements: 0, encodeSeconds: 0 };
    await pending.done;
    return { pending, pushed };
  }

  #check(): void {
    if (this.#failure) throw this.#failure;
  }

  /**
   * At the end of a step: waits while a view is being made, and changes to it at its step. What was read under clocks
   * of their own is then read again, when every worker has come so far; so all begin with the same values.
   */
  async #enterView(): Promise<Age | undefined> {
    await this.#held?.decided;
    this.#check();
    const view = this.#next;
    if (view?.fromStep !== this.#step) return undefined;
    const read = isClocked(this.#spec)
      ? await this.fetch(this.#step, undefined, this.#options.memory.parameters)
      : undefined;
    this.#next = undefined;
    this.#adopt(view);
    return read;
  }

  #expect(
    step: number,
    fetched: boolean,
    target: number,
    codec: DirectCodecName | undefined,
    blocks: readonly Block[],
  ) {
    if (this.#pending) throw new Error('one exchange at a time');
    this.#check();
    const servers = fetched ? [] : this.#links.map(({ index }) => index);
    const pending = startPending({ step, fetched, target, codec }, blocks, servers);
    // Whoever awaits `done` sees the error; this keeps Node quiet should it come while blocks are still being sent.
    pending.done.catch((error: RunError) => {
      this.#failure ??= error;
    });
    this.#pending = pending;
    return pending;
  }

  /** A block's contribution, to `dst`; returns its scale. */
  #encode(block: Block, lossScale: number, dst: number): number {
    const { layout, memory, spec, rank } = this.#options;
    const { kernels } = memory;
    const codec = this.#codecs[block.index];
    const gradient = memory.gradients + 4 * blockOffset(layout, block);
    if (!codec.lossy) return codec.encode(kernels, gradient, block.elements, dst, this.#absmax[block.index]);
    const rounding = spec.stochasticRounding
      ? { seed: spec.seed, worker: rank as number, step: this.#step, block: block.index }
      : undefined;
    return this.#residuals.encode(codec, block, gradient, lossScale, dst, rounding);
  }

  async #sendAll(
    blocks: readonly Block[],
    field: 'contribution' | 'initial',
    step: number,
    encode: (block: Block, dst: number) => number,
    stopped: () => boolean = () => false,
  ) {
    const { view, memory } = this.#options;
    let bytes = 0;
    let elements = 0;
    let encodeSeconds = 0;
    await Promise.all(
      this.#links.map(async (link) => {
        for (const block of blocks) {
          if (view.placement[block.index] !== link.index) continue;
          const codec = field === 'initial' ? codecs.fp32 : this.#codecs[block.index];
          const payloadBytes = codec.payloadBytes(block.elements);
          if (!(await link.room(payloadBytes))) return;
          if (stopped()) return;
          const started = performance.now();
          const scale = encode(block, memory.scratch);
          const payload = memory.kernels.u8(memory.scratch, payloadBytes);
          const fields = { step, block: block.index, codec: codec.id, scale };
          const checksum = () => memory.kernels.xxh64(memory.scratch, payloadBytes);
          const encoded = performance.now();
          link.send(field, fields, payload, checksum);
          // In this process that was the server's part of the step too.
          encodeSeconds += ((link.inProcess ? encoded : performance.now()) - started) / 1000;
          if (link.inProcess) continue;
          bytes += payloadBytes;
          elements += block.elements;
        }
      }),
    );
    return { bytes, elements, encodeSeconds };
  }

  #handlers(index: number) {
    const { view } = this.#options;
    return {
      block: (bulk: Bulk) => {
        if (bulk.fetched || !this.#isWithdrawn(index)) this.#receive(index, bulk);
      },
      view: (number: number) => {
        this.#told[index] = number;
      },
      outcome: (outcome: StepOutcome__Output) => {
        this.#decided?.tell(index, outcome);
        const pending = this.#pending;
        if (!pending || this.#isWithdrawn(index) || pending.fetched || outcome.step + 1 !== pending.step)
          return;
        pending.outcome = outcome;
        pending.undecided.delete(index);
        // Of a step that went on without this worker nothing comes; what others decide of it changes nothing.
        if (pending.missing.size > 0 && this.#isOut(outcome)) {
          pending.missing.clear();
          pending.undecided.clear();
        }
        if (outcome.skipped && !isClocked(this.#spec)) this.#skipped(pending, index);
        this.#settle(pending);
      },
      waiting: (waiting: { step: number; workers: number[]; seconds: number; servers: number[] }) =>
        this.#options.onWaiting({
          step: waiting.step,
          seconds: waiting.seconds,
          server: view.servers[index].address,
          workers: [
            ...waiting.workers.map((rank) => `worker ${rank} (${view.workers[rank]?.label ?? 'unknown'})`),
            ...waiting.servers.map(
              (at) =>
                `server ${view.servers[at]?.id} (${view.servers[at]?.address ?? 'unknown'}), whose part in the step is missing`,
            ),
          ],
        }),
      acknowledged: (step: number, blocks: readonly number[]) => {
        if (step !== 0 || this.#unacknowledged.size === 0) return;
        for (const block of blocks) this.#unacknowledged.delete(block);
        if (this.#unacknowledged.size === 0) this.#acknowledged?.();
      },
      lost: (error: RunError) => this.#fail(error),
    };
  }

  #fail(error: RunError): undefined {
    this.#failure ??= error;
    // Whoever waits for room on another server's link has nothing more to wait for.
    for (const link of this.#links) link.close();
    this.#acknowledged?.();
    this.#held?.release();
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(error);
  }

  /** A step that all skip brings no blocks: those of this server are not waited for. */
  #skipped(pending: Pending, index: number): void {
    for (const block of pending.missing)
      if (this.#options.view.placement[block] === index) pending.missing.delete(block);
  }

  #receive(index: number, bulk: Bulk): undefined {
    const { layout, view, memory } = this.#options;
    const from = `server ${view.servers[index].id} (${view.servers[index].address})`;
    const pending = this.#pending;
    const block = layout.blocks[bulk.block];
    if (!block || view.placement[bulk.block] !== index)
      return this.#fail(new RunError(`${from} sent block ${bulk.block}, which is not its own`));
    if (!pending || pending.fetched !== bulk.fetched || !pending.missing.has(bulk.block))
      return this.#fail(new RunError(`${from} sent block ${bulk.block} that nobody asked for`));
    if (pending.fetched ? bulk.step < pending.step : bulk.step !== pending.step)
      return this.#fail(
        new RunError(
          `${from} sent block ${bulk.block} of step ${bulk.step}, step ${pending.step} was expected`,
        ),
      );
    const staleness = stalenessOf(this.#spec);
    if (!pending.fetched && bulk.step - bulk.clockMin > staleness)
      return this.#fail(
        new RunError(
          `${from} sent block ${bulk.block} for step ${bulk.step} with all updates up to step ${bulk.clockMin} only, a staleness of ${staleness} was agreed`,
        ),
      );
    const expected = pending.codec ? codecs[pending.codec] : this.#updateCodecsAt(this.#step)[block.index];
    const started = performance.now();
    const fault = takePayload(bulk, block.elements, expected, {
      kernels: memory.kernels,
      scratch: memory.scratch,
      target: pending.target + 4 * blockOffset(layout, block),
    });
    if (fault) return this.#fail(new RunError(`${from} sent a bad block ${bulk.block}: ${fault}`));
    pending.decodeSeconds += (performance.now() - started) / 1000;
    if (!this.#links[index].inProcess) {
      pending.bytes += bulk.payload.byteLength;
      pending.elements += block.elements;
    }
    pending.updates = Math.max(pending.updates, bulk.version);
    for (const seen of [bulk.clockMin, bulk.clockMax]) pending.stepsSeen.add(seen);
    pending.missing.delete(bulk.block);
    if (!pending.fetched) this.#arrivals.arrived(index, performance.now());
    this.#settle(pending);
  }

  #settle(pending: Pending): void {
    if (pending.missing.size > 0 || pending.undecided.size > 0) return;
    this.#pending = undefined;
    pending.resolve();
  }
}
