// A client of a mesh, on the exchange and its memory: one worker of a run, or one who only reads. Operations are carried out
// one after the other, in the order of the calls; a step that would wait for ever, since another worker has closed, fails.
import { type BlockLayout, layoutBlocks } from '../blocks/blocks.js';
import { elementsOf, type TensorSpec } from '../blocks/manifest.js';
import type { DirectCodecName } from '../codec/codec.js';
import { directCodecNames } from '../codec/registry.js';
import { RunError, UserError } from '../errors.js';
import { Arena } from '../kernels/arena.js';
import { loadKernels } from '../kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../limits.js';
import type { RowTableSpec } from '../rows/tables.js';
import { uniqueIds } from '../rows/unique.js';
import { STAGE_SPARE_BYTES } from '../rpc/frame.js';
import { type RunSpec, stalenessOf } from '../run/spec.js';
import { Exchange, type StepHeaderFields, type StepResult } from './exchange.js';
import type { Membership } from './membership.js';
import type { Age } from './pending.js';
import { residualBytes } from './residuals.js';
import { type RowGradients, RowsClient } from './rows.js';
import { compileRows, rowsFinite, tableIndex } from './sdk-tables.js';
import type {
  Client,
  ConnectOptions,
  Outcome,
  Pulled,
  PulledRows,
  PushOptions,
  Tensors,
  Waiting,
} from './sdk-types.js';

const SCRATCH_BYTES = BLOCK_PAYLOAD_MAX_BYTES + STAGE_SPARE_BYTES;

export interface Surroundings {
  readonly peerDeadlineMs: number;
  onWaiting(waiting: Waiting): void;
}

export class MeshClient implements Client {
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
    { peerDeadlineMs, onWaiting }: Surroundings,
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
      onWaiting,
      onView: ({ number }) => membership?.entered(number),
    });
    return client;
  }

  /** Connects to the servers of its view. Throws Refused or RunError. */
  async open(view: Membership['view'], { peerDeadlineMs, onWaiting }: Surroundings): Promise<void> {
    const { run, spec, rank } = this;
    await this.#open.connect();
    if (!spec.tables) return;
    try {
      const options = { run, rank, spec, view, peerDeadlineMs, onWaiting };
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
