// The training thread's side of the exchange: starts the exchange thread, shares memory with it, and asks it for
// one thing at a time.

import { Worker } from 'node:worker_threads';
import { type BlockLayout, layoutBlocks } from '../../shared/blocks/blocks.js';
import { elementsOf } from '../../shared/blocks/manifest.js';
import type { WaitTold } from '../../shared/client/exchange-options.js';
import { Maxima } from '../../shared/client/maxima.js';
import type { Bytes } from '../../shared/client/membership.js';
import { residualBytes } from '../../shared/client/residuals.js';
import { RunError, UserError } from '../../shared/errors.js';
import { Arena } from '../../shared/kernels/arena.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES, DRAIN_MS, EXCHANGE_YOUNG_MAX_MIB } from '../../shared/limits.js';
import { STAGE_SPARE_BYTES } from '../../shared/rpc/frame.js';
import type { WorkerWelcome__Output } from '../../shared/rpc/generated/gradloom/v1/WorkerWelcome.js';
import type { RunSpec } from '../../shared/run/spec.js';
import { localBytes } from '../local/local-steps.js';
import type { WantedRows } from '../rows/model-rows.js';
import type { TrainEvent } from '../training/events.js';
import {
  type FromThread,
  PHASES,
  type Phase,
  type Pulled,
  type ReadTables,
  type ServeOptions,
  type StepDone,
  type Stepped,
  type ThreadData,
  type ToThread,
  type ViewFigures,
} from './messages.js';

const SCRATCH_BYTES = BLOCK_PAYLOAD_MAX_BYTES + STAGE_SPARE_BYTES;

export interface ExchangeClientOptions {
  spec: RunSpec;
  /** HOST:PORT of the keeper. */
  join: string;
  /** Empty: any run of the job that waits for workers. */
  run: string;
  label: string;
  peerDeadlineMs: number;
  metrics: { host: string; port: number };
  /** See ThreadData. */
  snapshots?: string;
  resume?: string;
  /** A node with both roles that keeps the mesh: of a snapshot. */
  onSnapshot?(snapshot: Extract<TrainEvent, { event: 'snapshot' }>): void;
  /** A node with both roles: the module of its exchange thread, and what its server is started with. */
  peer?: Peer;
  /** The server of this node is in the mesh, at this address. */
  onServing?(address: string): void;
  onReady(metrics: string): void;
  onWelcome(welcome: WorkerWelcome__Output): void;
  /** Another view holds from the step that is next. */
  onView?(view: ViewFigures): void;
  /** A shard has gone over to another server. */
  onTakeover?(takeover: { shard: number; step: number; from: string; to: string }): void;
  onWaiting(waiting: WaitTold): void;
}

export interface Peer {
  readonly thread: URL;
  readonly serve: ServeOptions;
}

export interface Started {
  run: string;
  rank: number;
  servers: number;
  workers: number;
  /** Servers that hold each part of the model, at least. */
  replicas: number;
}

interface Waiter {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class ExchangeClient {
  readonly layout: BlockLayout;
  readonly #thread: Worker;
  readonly #memory: SharedArrayBuffer;
  readonly #addresses: { gradients: number; parameters: number };
  readonly #clock: Float64Array;
  readonly #maxima: Maxima | undefined;
  readonly #answers: Waiter[] = [];
  #started: Waiter | undefined;
  #failure: Error | undefined;

  private constructor(options: ExchangeClientOptions, started: Waiter) {
    this.layout = layoutBlocks(options.spec.tensors);
    this.#started = started;
    const modelBytes = this.layout.elementsPadded * 4;
    const { local } = options.spec;
    const ownBytes = local ? localBytes(this.layout, local.optimizer) : 0;
    const residuals = residualBytes(options.spec, this.layout);
    const kernels = loadKernels({ bytes: 2 * modelBytes + ownBytes + residuals + SCRATCH_BYTES + 4096 });
    const arena = new Arena(kernels);
    const addresses = {
      gradients: arena.alloc(modelBytes),
      parameters: arena.alloc(modelBytes),
      scratch: arena.alloc(SCRATCH_BYTES),
      own: local ? arena.alloc(ownBytes) : 0,
      residuals: arena.alloc(residuals),
    };
    const clock = new SharedArrayBuffer(3 * 8);
    // Under local rounds the other thread makes what is exchanged, from the gradients of many steps.
    const maxima = local ? undefined : Maxima.share(this.layout);
    if (maxima) this.#maxima = new Maxima({ kernels, ...addresses }, this.layout, maxima);
    this.#addresses = addresses;
    this.#memory = kernels.memory.buffer as SharedArrayBuffer;
    this.#clock = new Float64Array(clock);
    const { spec, join, run, label, peerDeadlineMs, metrics, snapshots, resume } = options;
    const workerData: ThreadData = {
      memory: kernels.memory,
      ...addresses,
      clock,
      maxima,
      spec,
      join,
      run,
      label,
      peerDeadlineMs,
      metrics,
      snapshots,
      resume,
      serve: options.peer?.serve,
    };
    this.#thread = new Worker(options.peer?.thread ?? new URL('./thread.js', import.meta.url), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: EXCHANGE_YOUNG_MAX_MIB },
    });
    this.#thread.on('message', (message: FromThread) => this.#receive(message, options));
    this.#thread.on('error', (error) => this.#fail(error));
    this.#thread.on('exit', () => this.#fail(new Error('the exchange thread has ended')));
  }

  /** Joins a run; resolves when it starts. Throws UserError, Refused or RunError. */
  static async start(
    options: ExchangeClientOptions,
    signal?: AbortSignal,
  ): Promise<{ client: ExchangeClient; started: Started }> {
    let client: ExchangeClient | undefined;
    // It may have come before anybody listened.
    signal?.throwIfAborted();
    try {
      const started = await new Promise<Started>((resolve, reject) => {
        client = new ExchangeClient(options, { resolve: resolve as (value: unknown) => void, reject });
        signal?.addEventListener(
          'abort',
          () => {
            reject(signal.reason);
            // The step under way may end; one that waits for a lost peer would not.
            setTimeout(() => {
              if (client) client.#fail(signal.reason);
            }, DRAIN_MS).unref();
          },
          { once: true },
        );
      });
      return { client: client as ExchangeClient, started };
    } catch (error) {
      await client?.stop();
      throw error;
    }
  }

  /** Gradients of tensor i (values, for non-trainable state), to be filled before a step. */
  gradients(index: number): Float32Array {
    return this.#view(this.#addresses.gradients, index);
  }

  /** Parameters of tensor i as they stand after a step, applied or skipped; valid until the next one. */
  parameters(index: number): Float32Array {
    return this.#view(this.#addresses.parameters, index);
  }

  /** The fp32 masters of tensor i after `pullMasters`, valid until the next gradients are written. */
  masters(index: number): Float32Array {
    return this.gradients(index);
  }

  /** Says what the training thread is doing. */
  progress(step: number, phase: Phase): void {
    this.#clock[0] = step;
    this.#clock[1] = PHASES.indexOf(phase);
    this.#clock[2] = Date.now();
  }

  /** Gives all blocks their first values: those in the parameters' memory. */
  initialize(): Promise<void> {
    return this.#ask({ kind: 'initialize' });
  }

  pull(step: number): Promise<Pulled> {
    return this.#ask({ kind: 'pull', step });
  }

  pullMasters(step: number): Promise<Pulled> {
    return this.#ask({ kind: 'masters', step });
  }

  /** Hands a step over. Before it returns, it has measured gradients together with the thread. */
  step(step: StepDone): Promise<Stepped> {
    const given = step.rows?.map(({ gradients }) => gradients.buffer as ArrayBuffer);
    this.#maxima?.begin();
    const answer = this.#ask<Stepped>({ kind: 'step', ...step }, given);
    this.#maxima?.find();
    return answer;
  }

  /** Rows as they stand after the last step; exactly: whatever their codec. */
  pullRows(wanted: readonly WantedRows[], exact: boolean): Promise<Float32Array[]> {
    return this.#ask({ kind: 'rows', wanted, exact });
  }

  /** Reads all rows that some step has updated; with a file, saves them there. */
  readTables(file: string | undefined): Promise<ReadTables> {
    return this.#ask({ kind: 'tables', file });
  }

  /** With no records: somebody has left, and the shares are divided anew. */
  evaluate(part: {
    view: number;
    step: number;
    records: number;
    lossSum: number;
    correct: number;
  }): Promise<{ loss: number; accuracy: number; records: number }> {
    return this.#ask({ kind: 'evaluation', ...part });
  }

  countCache(hits: number, misses: number): Promise<void> {
    return this.#ask({ kind: 'cache', hits, misses });
  }

  /** Says that this worker is done; resolves to what all workers moved when the run has ended. */
  done(bytes: Bytes): Promise<Bytes> {
    return this.#ask({ kind: 'done', ...bytes });
  }

  /** Leaves the run, whatever its state, and ends the thread. */
  async stop(): Promise<void> {
    this.#thread.removeAllListeners();
    this.#thread.on('error', () => undefined);
    this.#thread.postMessage({ kind: 'leave' } satisfies ToThread);
    // The thread needs a moment to tell its peers; then it is ended.
    const told = new Promise<void>((resolve) => this.#thread.once('message', () => resolve()));
    await Promise.race([told, new Promise<void>((resolve) => setTimeout(resolve, 500))]);
    await this.#thread.terminate();
  }

  #view(address: number, index: number): Float32Array {
    const { tensorOffsets, tensors } = this.layout;
    return new Float32Array(
      this.#memory,
      address + 4 * tensorOffsets[index],
      elementsOf(tensors[index].shape),
    ) as unknown as Float32Array;
  }

  /** @param given memory that goes over to the thread */
  #ask<T>(message: ToThread, given: ArrayBuffer[] = []): Promise<T> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise<T>((resolve, reject) => {
      this.#answers.push({ resolve: resolve as (value: unknown) => void, reject });
      this.#thread.postMessage(message, given);
    });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#started?.reject(this.#failure);
    this.#started = undefined;
    for (const answer of this.#answers.splice(0)) answer.reject(this.#failure);
  }

  #receive(message: FromThread, options: ExchangeClientOptions): void {
    switch (message.kind) {
      case 'serving':
        return options.onServing?.(message.address);
      case 'snapshot':
        return options.onSnapshot?.(message.snapshot);
      case 'ready':
        return options.onReady(message.metrics);
      case 'welcome':
        return options.onWelcome(message.welcome);
      case 'waiting':
        return options.onWaiting(message);
      case 'view':
        return options.onView?.(message);
      case 'takeover':
        return options.onTakeover?.(message);
      case 'started':
        this.#started?.resolve(message);
        this.#started = undefined;
        return;
      case 'failed':
        return this.#fail(message.mistake ? new UserError(message.message) : new RunError(message.message));
      case 'answer':
        this.#answers.shift()?.resolve(message.answer);
    }
  }
}
