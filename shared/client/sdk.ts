// The client SDK: `import { connect } from 'gradloom'`. Four verbs over the exchange: push, pull, pushPull, wait.
// With tensors a client is one worker of a run (its first worker gives the initial values); without, it only
// reads a run that is going on. Operations are carried out one after the other, in the order of the calls.
import { hostname } from 'node:os';
import { type BlockLayout, layoutBlocks } from '../blocks/blocks.js';
import { elementsOf, manifestFault, type TensorSpec } from '../blocks/manifest.js';
import { codecFault } from '../codec/allowed-pairs.js';
import type { CodecName, DirectCodecName } from '../codec/codec.js';
import { type CodecOptions, codecOptionsFault, codecOptionsOfRun } from '../codec/codec-options.js';
import { codecNames, directCodecNames } from '../codec/registry.js';
import { normalPlace } from '../config/place.js';
import { RunError, UserError } from '../errors.js';
import { Arena } from '../kernels/arena.js';
import { loadKernels } from '../kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../limits.js';
import { freezeGroups, groupsFault } from '../optimizer/groups.js';
import { type OptimizerSpec, optimizerFault, optimizerSpec } from '../optimizer/spec.js';
import type { RowTableSpec } from '../rows/tables.js';
import { uniqueIds } from '../rows/unique.js';
import { STAGE_SPARE_BYTES } from '../rpc/frame.js';
import { consistencyFault, gradientLimitFault, normsFault } from '../run/faults.js';
import { type ConsistencyName, type RunSpec, stalenessOf } from '../run/spec.js';
import { fromWire } from '../run/wire.js';
import { Exchange, type StepHeaderFields, type StepResult } from './exchange.js';
import { joinRun, type Membership } from './membership.js';
import { observe } from './observe.js';
import type { Age } from './pending.js';
import { residualBytes } from './residuals.js';
import { type RowGradients, RowsClient } from './rows.js';
import {
  compileRows,
  compileTables,
  type Rows,
  rowsFinite,
  type TableOptions,
  tableIndex,
} from './sdk-tables.js';

export type { Rows };

/** Values by tensor name: fp32, row-major. */
export type Tensors = Record<string, Float32Array>;

export interface ConnectOptions extends CodecOptions {
  /** HOST:PORT of the first server, or etcd://HOST:PORT,…/MESH. */
  join: string;
  /** Id of the run; by default the one of this job that waits for workers, or (without tensors) the only one. */
  run?: string;
  /** The model, in an order that is the same for every worker. Without it the client only pulls. */
  tensors?: readonly { name: string; shape: readonly number[]; values: Float32Array }[];
  /** Embedding tables, which live on the servers alone and are pushed and pulled by row; with consistency bsp. */
  tables?: readonly TableOptions[];
  /** Of the initial values of tables. Default 0. */
  seed?: number;
  /** Name of what is trained; workers of one run give the same. */
  job?: string;
  /** A name, with that optimizer's defaults, or all of it: see OptimizerSpec. Default: adam. */
  optimizer?: OptimizerSpec['kind'] | OptimizerSpec;
  /** Beside the name of an optimizer; default 0.001. */
  learningRate?: number;
  codec?: CodecName;
  /** Largest magnitude of an element of a contribution that servers take; by default any. */
  gradientLimit?: number;
  /** Servers that hold each part of the model; default two, where there are as many and the run can be replicated. */
  replicas?: number;
  /** Which workers a step waits for. Default bsp: for all. */
  consistency?: ConsistencyName;
  /** With ssp: steps that a worker may be ahead of the slowest. */
  staleness?: number;
  /** Workers that the run waits for; `connect` resolves when all are there. */
  workers?: number;
  /** Silence after which a server is given up, in milliseconds. */
  peerDeadlineMs?: number;
}

export interface Outcome {
  /** The step's index, from 0. */
  step: number;
  /** True: some worker's gradients (under ssp and asp: this one's) were not finite, and the step changed nothing. */
  skipped: boolean;
  /** Over all workers; under ssp and asp, as the loss, of this worker's own step. */
  samples: number;
  /** Mean over the samples; 0 where nobody gave a loss. */
  loss: number;
}

export interface Pulled {
  values: Tensors;
  /** Steps that the oldest of the values had seen. */
  step: number;
  /** Steps that the newest of them is ahead of the oldest; 0: one version. */
  skew: number;
}

export interface PushOptions {
  /** Samples behind the mean gradient: its weight among the workers'. Default 1. */
  samples?: number;
  /** Mean loss over the samples, for the servers' metrics. */
  loss?: number;
  /** Mean gradients of rows, by the name of their table: of the same step, which is skipped as a whole. */
  rows?: Readonly<Record<string, Rows>>;
}

/** A row for each id that was asked for, in their order. */
export interface PulledRows {
  values: Float32Array;
  /** Steps that the oldest of the rows had seen. */
  step: number;
  /** Steps that the newest of them is ahead of the oldest; 0: one version. */
  skew: number;
}

export interface Client {
  readonly run: string;
  /** Rank among the run's workers; undefined for a client that only pulls. */
  readonly rank: number | undefined;
  readonly tensors: readonly TensorSpec[];
  readonly tables: readonly RowTableSpec[];
  /**
   * Hands over this worker's mean gradients of a step and returns the step's index at once. The arrays are read
   * until `wait` of that step resolves. Tensors that are left out have a gradient of zero. Throws UserError.
   */
  push(gradients: Tensors, options?: PushOptions): number;
  /** Resolves when a step is decided on all servers. Throws RunError where a server is lost. */
  wait(step: number): Promise<Outcome>;
  /**
   * Parameters at one version (under ssp and asp: not older than a worker may read, with their skew): all, or those named; in
   * the run's codec (a lossy one: exactly), or exactly with `codec: 'fp32'`.
   */
  pull(names?: readonly string[], options?: { codec?: DirectCodecName }): Promise<Pulled>;
  /** `push`, `wait` and the new parameters, in one exchange. */
  pushPull(gradients: Tensors, options?: PushOptions): Promise<Pulled & { outcome: Outcome }>;
  /**
   * Rows of a table by id, with the updates of all steps pushed before: in the table's codec, or exactly with
   * `codec: 'fp32'`. An id may come more than once and travels once. Throws UserError for an id that is out of range.
   */
  pullRows(table: string, ids: ArrayLike<number>, options?: { codec?: 'fp32' }): Promise<PulledRows>;
  /**
   * Ends this client's part. A worker's resolves when all workers of the run have closed. A step of another that would
   * need more of this one fails with a RunError that says so: under bsp all take the same number of steps.
   */
  close(): Promise<void>;
}

const DEFAULT_PEER_DEADLINE_MS = 20_000;
const SCRATCH_BYTES = BLOCK_PAYLOAD_MAX_BYTES + STAGE_SPARE_BYTES;

/**
 * Connects to a mesh. Throws UserError for options that cannot be, Refused or RunError where the mesh says no or
 * is not there.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  const address = normalPlace(options.join);
  const peerDeadlineMs = options.peerDeadlineMs ?? DEFAULT_PEER_DEADLINE_MS;
  if (!options.tensors) {
    const { run, spec: wire, view } = await observe(address, options.run ?? '', peerDeadlineMs);
    const spec = fromWire(wire);
    const findView = async () => (await observe(address, run, peerDeadlineMs)).view;
    const client = MeshClient.create(run, undefined, spec, view, peerDeadlineMs, findView);
    await client.open(view, peerDeadlineMs);
    return client;
  }
  const spec = compile(options, options.tensors);
  let isCreated = (_client: MeshClient): void => undefined;
  // What the keeper says of views reaches it from the beginning, in order: also while it connects.
  const created = new Promise<MeshClient>((resolve) => {
    isCreated = resolve;
  });
  const membership = await joinRun({
    address,
    run: options.run ?? '',
    spec,
    label: `${hostname()}:${process.pid}`,
    peerDeadlineMs,
    onWelcome: () => undefined,
    onHold: async () => (await created).hold(),
    onView: (view) => void created.then((client) => client.change(view)),
    onPlaced: (view) => void created.then((client) => client.place(view)),
    onDone: async (worker) => (await created).finished(worker),
    doing: () => client?.doing() ?? 'was connecting',
    onLost: (error) => client?.lose(error),
  });
  let client: MeshClient | undefined;
  try {
    client = MeshClient.create(membership.run, membership, spec, membership.view, peerDeadlineMs);
    isCreated(client);
    await client.open(membership.view, peerDeadlineMs);
    if (membership.rank === 0) await client.initialize(options.tensors);
    return client;
  } catch (error) {
    membership.leave();
    throw error;
  }
}

function compile(options: ConnectOptions, given: NonNullable<ConnectOptions['tensors']>): RunSpec {
  const tensors = given.map(({ name, shape }): TensorSpec => ({ name, shape, kind: 'trainable' }));
  const fault = manifestFault(tensors);
  if (fault) throw new UserError(`tensors: ${fault}`);
  for (const { name, shape, values } of given)
    if (!(values instanceof Float32Array) || values.length !== elementsOf(shape))
      throw new UserError(
        `tensors: expected a Float32Array of ${elementsOf(shape)} values for '${name}' of shape [${shape}], got ${values?.length ?? typeof values}`,
      );
  const codec = options.codec ?? 'fp16';
  if (!codecNames.includes(codec))
    throw new UserError(`codec: expected one of ${codecNames.join(', ')}, got "${codec}"`);
  const ofCodec = codecOptionsFault(codec, options);
  if (ofCodec) throw new UserError(ofCodec);
  const consistency = options.consistency ?? 'bsp';
  const bound = consistencyFault(consistency, options.staleness);
  if (bound) throw new UserError(bound);
  const workers = options.workers ?? 1;
  if (!Number.isInteger(workers) || workers < 1)
    throw new UserError(`workers: expected a whole number of 1 or more, got ${workers}`);
  const { seed = 0 } = options;
  if (!Number.isSafeInteger(seed)) throw new UserError(`seed: expected a whole number, got ${seed}`);
  const tables = compileTables(options.tables ?? [], { consistency, codec });
  const optimizer = compileOptimizer(options);
  const pair = codecFault(codec, optimizer, consistency);
  if (pair) throw new UserError(`codec: ${pair}`);
  const unfit = normsFault(consistency, optimizer);
  if (unfit) throw new UserError(`optimizer: ${unfit}`);
  const limit = gradientLimitFault(options.gradientLimit);
  if (limit) throw new UserError(`gradientLimit: ${limit}`);
  const agreed = freezeGroups(tensors, optimizer.groups);
  const misfit = groupsFault(optimizer, agreed);
  if (misfit) throw new UserError(`optimizer.groups: ${misfit}`);
  return {
    job: options.job ?? 'sdk',
    tensors: agreed,
    optimizer,
    consistency,
    ...(options.staleness === undefined ? {} : { staleness: options.staleness }),
    codec,
    ...codecOptionsOfRun(codec, options),
    ...(options.gradientLimit === undefined ? {} : { gradientLimit: options.gradientLimit }),
    ...(options.replicas ? { replicas: options.replicas } : {}),
    workers,
    globalBatch: 0,
    epochs: 0,
    stepsPerEpoch: 0,
    seed,
    dataFingerprint: '',
    ...(tables.length > 0 && { tables }),
  };
}

function compileOptimizer({ optimizer = 'adam', learningRate }: ConnectOptions): OptimizerSpec {
  if (typeof optimizer === 'object' && learningRate !== undefined)
    throw new UserError(
      `learningRate: expected none beside an optimizer that has its own of ${optimizer.learningRate}, got ${learningRate}; leave it out`,
    );
  const spec = typeof optimizer === 'object' ? optimizer : optimizerSpec(optimizer, learningRate ?? 0.001);
  const fault = optimizerFault(spec);
  if (fault) throw new UserError(`optimizer: ${fault}`);
  return spec;
}

class MeshClient implements Client {
  readonly #addresses: { gradients: number; parameters: number; scratch: number; residuals: number };
  readonly #kernels;
  readonly #layout: BlockLayout;
  #exchange: Exchange | undefined;
  /** Where the run has tables. */
  #rows: RowsClient | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #nextStep = 0;
  /** Payload that this client moved. */
  readonly #bytes = { bytesPushed: 0, bytesPulled: 0, bytesRetried: 0 };
  /** How old the parameters are that the last step brought. */
  #read: Age | undefined;
  readonly #outcomes = new Map<number, Promise<Outcome>>();
  /** The step whose exchange is under way. */
  #stepping: number | undefined;
  /** Of the workers that have closed, the one that has taken the fewest steps. */
  #finished: { name: string; steps: number } | undefined;

  private constructor(
    readonly run: string,
    readonly membership: Membership | undefined,
    readonly spec: RunSpec,
  ) {
    this.#layout = layoutBlocks(spec.tensors);
    const modelBytes = this.#layout.elementsPadded * 4;
    // Who only reads sends nothing, and leaves nothing out.
    const residuals = membership ? residualBytes(spec, this.#layout) : 0;
    this.#kernels = loadKernels({ bytes: 2 * modelBytes + residuals + SCRATCH_BYTES + 4096 });
    const arena = new Arena(this.#kernels);
    this.#addresses = {
      gradients: arena.alloc(modelBytes),
      parameters: arena.alloc(modelBytes),
      scratch: arena.alloc(SCRATCH_BYTES),
      residuals: arena.alloc(residuals),
    };
  }

  /** One that is not connected yet; views may be told it from now on. */
  static create(
    run: string,
    membership: Membership | undefined,
    spec: RunSpec,
    view: Membership['view'],
    peerDeadlineMs: number,
    findView?: () => Promise<Membership['view']>,
  ): MeshClient {
    const client = new MeshClient(run, membership, spec);
    client.#exchange = Exchange.create({
      run,
      rank: membership?.rank,
      spec,
      layout: client.#layout,
      view,
      memory: { kernels: client.#kernels, ...client.#addresses },
      peerDeadlineMs,
      ...(findView && { findView }),
      onWaiting: () => undefined,
      onView: ({ number }) => membership?.entered(number),
    });
    return client;
  }

  /** Connects to the servers of its view. Throws Refused or RunError. */
  async open(view: Membership['view'], peerDeadlineMs: number): Promise<void> {
    const { run, spec, rank } = this;
    await this.#open.connect();
    if (!spec.tables) return;
    try {
      const options = { run, rank, spec, view, peerDeadlineMs, onWaiting: () => undefined };
      this.#rows = await RowsClient.open(options);
    } catch (error) {
      this.#open.close();
      throw error;
    }
  }

  /** What it is in the midst of, compared with what is usual; in words that follow its name. */
  doing(): string {
    return this.#open.doing();
  }

  get rank(): number | undefined {
    return this.membership?.rank;
  }

  get tensors(): readonly TensorSpec[] {
    return this.spec.tensors;
  }

  get tables(): readonly RowTableSpec[] {
    return this.spec.tables ?? [];
  }

  async initialize(tensors: NonNullable<ConnectOptions['tensors']>): Promise<void> {
    for (const [index, { values }] of tensors.entries())
      this.#view(this.#addresses.parameters, index).set(values);
    await this.#open.initialize();
  }

  /** See Exchange. */
  hold(): number {
    return this.#open.hold();
  }

  /** See Exchange. */
  change(view: Membership['view']): void {
    this.#open.change(view);
  }

  /** See Exchange. */
  place(view: Membership['view']): void {
    this.#open.place(view);
  }

  /** Another worker has closed: a step that needs more of it never comes to an end. */
  finished(worker: { name: string; steps: number }): void {
    if (!this.#finished || worker.steps < this.#finished.steps) this.#finished = worker;
    const error = this.#stepping === undefined ? undefined : this.#vain(this.#stepping);
    if (error) this.lose(error);
  }

  lose(error: RunError): void {
    this.#exchange?.close(error);
    this.#rows?.close(error);
    this.#queue = Promise.reject(error);
    this.#queue.catch(() => undefined);
  }

  push(gradients: Tensors, options: PushOptions = {}): number {
    if (this.rank === undefined)
      throw new UserError(
        'push: this client only pulls; give connect() the tensors to take part as a worker',
      );
    const { samples = 1, loss = 0 } = options;
    if (!Number.isInteger(samples) || samples < 1)
      throw new UserError(`push: expected samples of 1 or more, got ${samples}`);
    this.#checkNames('push', Object.keys(gradients));
    for (const [index, { name, shape }] of this.spec.tensors.entries()) {
      const values = gradients[name];
      if (values && values.length !== elementsOf(shape))
        throw new UserError(
          `push: expected ${elementsOf(shape)} values for tensor ${index} '${name}' of shape [${shape}], got ${values.length}`,
        );
    }
    const rows = compileRows(this.tables, options.rows ?? {});
    const outcome = this.#enqueue(async () => {
      this.#read = undefined;
      for (const [index, { name }] of this.spec.tensors.entries()) {
        const target = this.#view(this.#addresses.gradients, index);
        if (gradients[name]) target.set(gradients[name]);
        else target.fill(0);
      }
      const allFinite = this.#open.measure() && Number.isFinite(loss) && rowsFinite(this.tables, rows);
      const lossSum = Number.isFinite(loss) ? loss * samples : 0;
      const header = { samples, allFinite, lossScale: 1, lossSum, correct: 0 };
      const stepped = await this.#step(header, rows).catch((error) => {
        this.lose(error);
        throw error;
      });
      this.#bytes.bytesPushed += stepped.bytesPushed;
      this.#bytes.bytesPulled += stepped.bytesPulled;
      this.#bytes.bytesRetried += stepped.bytesRetried;
      this.#read = stepped.read;
      const { outcome: decided } = stepped;
      return { step: decided.step, skipped: decided.skipped, samples: decided.samples, loss: decided.loss };
    });
    // A loss of a server is told by wait(), and by every later call.
    outcome.catch(() => undefined);
    const step = this.#nextStep++;
    this.#outcomes.set(step, outcome);
    return step;
  }

  async wait(step: number): Promise<Outcome> {
    const outcome = this.#outcomes.get(step);
    if (!outcome)
      throw new UserError(`wait: expected a step that push() returned and nobody waited for, got ${step}`);
    this.#outcomes.delete(step);
    return outcome;
  }

  async pull(names?: readonly string[], { codec }: { codec?: DirectCodecName } = {}): Promise<Pulled> {
    if (codec !== undefined && !directCodecNames.includes(codec))
      throw new UserError(`pull: expected a codec of ${directCodecNames.join(', ')}, got "${codec}"`);
    this.#checkNames('pull', names ?? []);
    const wanted = new Set(names ?? this.spec.tensors.map(({ name }) => name));
    const blocks = this.#layout.blocks.filter(({ tensor }) => wanted.has(this.spec.tensors[tensor].name));
    return this.#enqueue(async () => {
      const { step, skew } = await this.#open.fetch(
        Math.max(0, this.#open.step - stalenessOf(this.#open.spec)),
        codec,
        // Not to the parameters: under a lossy codec they must stay what the servers take this worker to hold.
        this.#addresses.gradients,
        blocks,
      );
      return { step, skew, values: this.#copy(wanted, this.#addresses.gradients) };
    });
  }

  async pushPull(gradients: Tensors, options: PushOptions = {}): Promise<Pulled & { outcome: Outcome }> {
    const step = this.push(gradients, options);
    const all = new Set(this.spec.tensors.map(({ name }) => name));
    const read = this.#enqueue(async () => ({
      ...(this.#read as Age),
      values: this.#copy(all, this.#addresses.parameters),
    }));
    read.catch(() => undefined);
    const outcome = await this.wait(step);
    return { outcome, ...(await read) };
  }

  async pullRows(
    table: string,
    ids: ArrayLike<number>,
    { codec }: { codec?: 'fp32' } = {},
  ): Promise<PulledRows> {
    if (codec !== undefined && codec !== 'fp32')
      throw new UserError(`pullRows: expected codec 'fp32', or none for the table's own, got "${codec}"`);
    const index = tableIndex(this.tables, table, 'pullRows');
    const { rows, width } = this.tables[index];
    const unique = uniqueIds(ids, rows, table);
    return this.#enqueue(async () => {
      const pulled = await (this.#rows as RowsClient).pull(index, unique.ids, { exact: codec === 'fp32' });
      if (unique.isIdentity) return pulled;
      const values = new Float32Array(ids.length * width);
      for (let i = 0; i < unique.positions.length; i++) {
        const from = unique.positions[i] * width;
        for (let k = 0; k < width; k++) values[i * width + k] = pulled.values[from + k];
      }
      return { ...pulled, values };
    });
  }

  async close(): Promise<void> {
    await this.#queue.catch(() => undefined);
    this.#exchange?.close();
    this.#rows?.close();
    await this.membership?.done({
      bytesPushed: this.#bytes.bytesPushed + (this.#rows?.bytesPushed ?? 0),
      bytesPulled: this.#bytes.bytesPulled + (this.#rows?.bytesPulled ?? 0),
      steps: this.#open.step,
      bytesRetried: this.#bytes.bytesRetried,
    });
  }

  async #step(header: StepHeaderFields, rows: readonly RowGradients[]): Promise<StepResult> {
    this.#stepping = this.#open.step;
    try {
      const error = this.#vain(this.#stepping);
      if (error) throw error;
      // The same header goes to both, so a step is skipped, or applied, in both.
      const [stepped] = await Promise.all([this.#open.pushPull(header), this.#rows?.push(header, rows)]);
      return stepped;
    } finally {
      this.#stepping = undefined;
    }
  }

  /** Why a step would wait for ever: it ends when all have taken this one, or with a staleness one so long before. */
  #vain(step: number): RunError | undefined {
    if (!this.#finished || step + 1 - stalenessOf(this.#open.spec) <= this.#finished.steps) return undefined;
    const { name, steps } = this.#finished;
    return new RunError(
      `step ${step} waits for ${name}, which has closed after ${steps} steps; let every worker take as many steps before it closes, or connect all with consistency 'asp'`,
    );
  }

  get #open(): Exchange {
    return this.#exchange as Exchange;
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work);
    this.#queue = next;
    next.catch(() => undefined);
    return next;
  }

  #checkNames(verb: string, names: readonly string[]): void {
    for (const name of names)
      if (!this.spec.tensors.some((tensor) => tensor.name === name))
        throw new UserError(
          `${verb}: expected names of ${this.spec.tensors
            .map((tensor) => `'${tensor.name}'`)
            .slice(0, 8)
            .join(', ')}, got '${name}'`,
        );
  }

  #view(address: number, index: number): Float32Array<SharedArrayBuffer> {
    return this.#kernels.f32(
      address + 4 * this.#layout.tensorOffsets[index],
      elementsOf(this.spec.tensors[index].shape),
    );
  }

  #copy(wanted: ReadonlySet<string>, from: number): Tensors {
    return Object.fromEntries(
      this.spec.tensors.flatMap(({ name }, index) =>
        wanted.has(name) ? [[name, new Float32Array(this.#view(from, index))]] : [],
      ),
    );
  }
}
