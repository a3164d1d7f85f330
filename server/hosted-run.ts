// A shard of a run on the server that is its primary: the streams that feed it (writers.ts) and those that read from it
// (readers.ts). Turns the shard's effects into messages, when the other copies of the shard have them too (replication/).
import type * as grpc from '@grpc/grpc-js';
import type { BlockLayout } from '../shared/blocks/blocks.js';
import { normRounds } from '../shared/optimizer/norms.js';
import type { PushMessage__Output } from '../shared/rpc/generated/gradloom/v1/PushMessage.js';
import type { PushReply } from '../shared/rpc/generated/gradloom/v1/PushReply.js';
import type { StepHeader__Output } from '../shared/rpc/generated/gradloom/v1/StepHeader.js';
import type { View__Output } from '../shared/rpc/generated/gradloom/v1/View.js';
import { refuse } from '../shared/rpc/refusal.js';
import { specUnder } from '../shared/run/rules.js';
import { isClocked, type RunSpec } from '../shared/run/spec.js';
import { Usual, usually } from '../shared/usual.js';
import { ClockedWaits } from './clocked-waits.js';
import type { BlockNorms, Cut } from './effects.js';
import type { ServerMetrics } from './metrics.js';
import type { PullCall, Reader } from './reader.js';
import { Readers } from './readers.js';
import type { Copies, Copy } from './replication/copies.js';
import { type Effect, Shard } from './shard.js';
import type { RunSnapshots } from './snapshot/run-snapshots.js';
import type { Outcome } from './step-headers.js';
import { Writers } from './writers.js';

export type PushCall = grpc.ServerDuplexStream<PushMessage__Output, PushReply>;

/** How a run tells the other servers what all must agree on within a step (agree-streams.ts). */
export interface AgreeOut {
  send(message: { norms: BlockNorms } | { cut: Cut }): void;
  /** Why a server is out of reach; undefined as far as it is known to be there. */
  lost(server: number): string | undefined;
  close(): void;
}

/** A wait that has lasted longer than such waits usually do. */
export interface LateStep {
  readonly step: number;
  /** Ranks. */
  readonly workers: number[];
  /** Indices into the view's servers, whose part in what all decide together is missing. */
  readonly servers: number[];
  /** Ids of servers whose copy of an update is missing. */
  readonly copies: number[];
  readonly waitedMs: number;
  /** By which it is late. */
  readonly usual: Usual;
}

/** Index in the view of the server that decides, with backup workers, whose contributions a step takes. */
const LEADER = 0;

export class HostedRun {
  readonly shard: Shard;
  readonly #writers = new Writers();
  readonly #readers: Readers;
  /** From the end of one step to that of the next: under ssp and asp, of the slowest worker's. */
  readonly usualStep = new Usual();
  #waitingSince: number;
  #view: View__Output;
  /** Decided, and not yet in force. */
  #nextView: View__Output | undefined;
  /** ssp, asp: who waits for whom; under bsp all wait for the same. */
  #waits: ClockedWaits | undefined;
  #lastHeaderAt = 0;
  /** Steps in a row that each worker has spoilt, and the last of them. */
  readonly #spoilt = new Map<number, { step: number; count: number }>();
  /** A worker has spoilt as many steps in a row as the run allows. */
  onOffence: (rank: number, sentence: string) => void = () => undefined;
  /** There where a step waits for what other servers have or decide. */
  #agreeOut: AgreeOut | undefined;
  /** Whether blocks are applied together, once the norms of all are known. */
  readonly #gathers: boolean;
  /** There where snapshots of the run are taken. */
  snapshots: RunSnapshots | undefined;
  /** There where the shard has, or may get, copies on other servers. */
  #copies: Copies | undefined;
  /** The last verdict that workers have been told. */
  #outcome: Outcome | undefined;

  constructor(
    readonly id: string,
    spec: RunSpec,
    view: View__Output,
    readonly layout: BlockLayout,
    owned: readonly number[],
    readonly metrics: ServerMetrics,
    /** Monotonic time in milliseconds. */
    readonly now: () => number,
    /** The shard's index in the placement. */
    readonly index = 0,
    /** A copy of the shard that was a backup until now, and the last verdict that it knows of. */
    taken?: { readonly shard: Shard; readonly outcome: Outcome | undefined },
  ) {
    this.#gathers = normRounds(spec.optimizer).length > 0;
    const fromStep = spec.resume?.step ?? 0;
    this.shard = taken?.shard ?? new Shard(spec, layout, owned, metrics.probe, index === LEADER, fromStep);
    this.#outcome = taken?.outcome;
    this.#readers = new Readers({ run: id, layout, shard: this.shard, fromStep, metrics, now });
    this.#view = view;
    if (isClocked(spec)) this.#waits = new ClockedWaits(this.shard, now);
    this.#waitingSince = now();
  }

  /** As it stands under the view in force. */
  get spec(): RunSpec {
    return this.shard.spec;
  }

  /** The view in force. */
  get view(): View__Output {
    return this.#view;
  }

  /** Of the last view that was decided. */
  get newestView(): number {
    return Math.max(this.#view.number, this.#nextView?.number ?? 0);
  }

  /** The last verdict that workers have been told. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** Changes to a view as soon as all steps before its own are closed. Throws Refused. */
  change(view: View__Output): void {
    const { number, fromStep } = view;
    // A keeper that follows another orders again what may have been ordered.
    if ((this.#nextView ?? this.#view).number === number) return;
    const members = view.workers.map(({ rank }) => rank);
    // Where blocks are to change back, whoever has fetched them before gets them as they are.
    if (view.departed) for (const block of this.#readers.promised) this.#readers.copy(block);
    const effects = this.shard.change({
      ...{ number, fromStep, spec: specUnder(this.spec, view) },
      ...(members.length > 0 ? { members } : {}),
      withdraws: view.departed !== null && view.departed !== undefined,
    });
    this.#nextView = view;
    this.#emit(effects);
  }

  /** How the shard is kept on other servers, too. */
  keepCopies(copies: Copies): void {
    this.#copies = copies;
    this.#readers.isCommitted = () => copies.isDrained;
  }

  /** Who holds, or is to hold, the shard beside this server. */
  placeCopies(copies: readonly Copy[]): void {
    this.#copies?.place(copies);
  }

  /** A worker's stream of contributions; one that it had before is replaced. */
  attachWriter(rank: number, call: PushCall): void {
    this.#writers.attach(rank, call);
  }

  detachWriter(rank: number, call: PushCall): void {
    this.#writers.detach(rank, call);
  }

  /** @param rank the worker whose stream it is; undefined: an observer */
  attachReader(call: PullCall, rank?: number): Reader {
    return this.#readers.attach(call, rank);
  }

  detachReader(reader: Reader): void {
    this.#readers.detach(reader);
  }

  /** From now on every new block; before that, for one that goes on after its stream broke, what it has missed. Throws Refused. */
  subscribe(reader: Reader, request: { codec: number; resumes?: boolean; step?: number }): void {
    if (!request.resumes) return this.#readers.subscribe(reader, request.codec);
    const { step = 0 } = request;
    const outcome = this.#outcome?.step === step ? this.#outcome : undefined;
    this.#readers.resume(reader, {
      view: this.#view.number,
      ...request,
      step,
      outcome,
      later: this.#copies?.uncommitted ?? new Set(),
    });
  }

  /** Answers at once, or when the step is decided. Throws Refused. */
  fetch(reader: Reader, request: Parameters<Readers['fetch']>[1]): void {
    this.#readers.fetch(reader, request);
  }

  /** Counts the steps in a row that a worker has spoilt, and tells when they are too many. */
  #judge(rank: number, { step, allFinite, faultyTensor }: StepHeader__Output): void {
    const { refusalsLimit = 0, gradientLimit, tensors } = this.spec;
    if (refusalsLimit === 0) return;
    const last = this.#spoilt.get(rank);
    if (allFinite) this.#spoilt.delete(rank);
    else if (last?.step !== step) {
      const count = (last?.count ?? 0) + 1;
      this.#spoilt.set(rank, { step, count });
      if (count !== refusalsLimit) return;
      const what =
        faultyTensor > 0 ? `its gradient of '${tensors[faultyTensor - 1]?.name ?? 'unknown'}'` : 'its loss';
      const limit = gradientLimit === undefined ? '' : ` or was above ${gradientLimit}`;
      this.onOffence(rank, `${what} was not finite${limit} in ${count} steps in a row, up to step ${step}`);
    }
  }

  /** Takes nothing of a worker any more, and says how far it has come here. */
  fence(rank: number): ReturnType<Shard['fence']> {
    const progress = this.shard.fence(rank);
    const refusal = refuse('STALE_VIEW', `worker ${rank} has left the run`).toMessage();
    this.#writers.end(refusal, rank);
    this.#readers.end(refusal, rank);
    return progress;
  }

  push(rank: number, message: PushMessage__Output): void {
    const { contribution, initial, header } = message as unknown as {
      contribution?: Parameters<Shard['contribution']>[1];
      initial?: Parameters<Shard['initial']>[1];
      header?: PushMessage__Output['header'];
    };
    let effects: Effect[];
    if (contribution) {
      this.#received(contribution);
      // Where the optimizer waits for norms, the last contribution of a step changes all blocks.
      for (const block of this.#gathers ? this.#readers.promised : [contribution.block])
        this.#readers.copy(block);
      this.snapshots?.copy(this.#gathers ? undefined : contribution.block);
      effects = this.shard.contribution(rank, contribution);
      const [first] = effects;
      this.metrics.contribution(
        first?.kind === 'duplicate' || first?.kind === 'late' ? first.kind : 'accepted',
      );
    } else if (header) {
      const waited = this.now() - this.#lastHeaderAt;
      const first = this.shard.missingHeaders === (this.#view.workers.length || this.spec.workers);
      this.#lastHeaderAt = this.now();
      if (first && header.step === this.shard.step) this.snapshots?.stepBegins();
      effects = this.shard.header(rank, header.step, header, header.view);
      this.#judge(rank, header);
      if (!first && effects.some((effect) => effect.kind === 'outcome' && effect.worker === undefined))
        this.metrics.waitedFor(rank, waited / 1000);
    } else if (initial) {
      this.#received(initial);
      const was = this.#copies?.isReplicated && this.shard.isInitialized(initial.block);
      effects = this.shard.initial(rank, initial);
      if (!was) this.#copies?.initial(initial.block);
    } else {
      throw refuse('MALFORMED', 'expected a header, a contribution or initial values, got an empty message');
    }
    this.metrics.held(this.shard.heldBytes);
    this.#emit(effects);
    const waitedMs = this.#waits?.note(rank, effects) ?? 0;
    if (waitedMs > 0) this.metrics.waitedFor(rank, waitedMs / 1000);
  }

  /** How to reach the other servers, where they must agree on something within a step. */
  agreeOver(out: AgreeOut): void {
    this.#agreeOut = out;
  }

  /** Whose contributions the open step takes, as the server of that index in the view says. Throws Refused. */
  cut(server: number, cut: Cut): void {
    if (server !== LEADER)
      throw refuse(
        'NOT_NOW',
        `expected the contributors of step ${cut.step} from server ${this.view.servers[LEADER].id}, the first of the view, got them from server ${this.view.servers[server].id}`,
      );
    for (const block of this.#readers.promised) this.#readers.copy(block);
    const effects = this.shard.cut(cut);
    for (const { kind } of effects) if (kind === 'late') this.metrics.contribution('late');
    this.metrics.held(this.shard.heldBytes);
    this.#emit(effects);
    this.serverLost();
  }

  /** Norms of another server's blocks, itself named by its index in the view. Throws Refused. */
  norms(server: number, norms: BlockNorms): void {
    const foreign = norms.blocks.find((block) => this.view.placement[block] !== server);
    if (foreign !== undefined)
      throw refuse(
        'UNKNOWN_BLOCK',
        `expected norms of blocks that server ${server} of the view owns, got block ${foreign}; read the placement from the view`,
      );
    for (const block of this.#readers.promised) this.#readers.copy(block);
    this.snapshots?.copy();
    this.#emit(this.shard.norms(norms));
    this.serverLost();
  }

  /** Servers whose norms or decision the open step waits for, as indices into the view's. */
  serversWaitedFor(): number[] {
    if (this.shard.awaitsCut) return [LEADER];
    const owners = this.shard.missingNorms().map((block) => this.view.placement[block]);
    return [...new Set(owners)].sort((a, b) => a - b);
  }

  /** Ends the streams of all workers with a sentence where a server that is waited for is out of reach. */
  serverLost(): void {
    for (const index of this.serversWaitedFor()) {
      const reason = this.#agreeOut?.lost(index);
      if (reason === undefined) continue;
      const { id, address } = this.view.servers[index];
      const error = refuse(
        'NOT_NOW',
        `it waits for ${this.shard.awaitsCut ? 'the contributors' : 'the norms'} of step ${this.shard.step} from server ${id} (${address}), which is out of reach: ${reason}; ${this.pace()}`,
      );
      this.metrics.refused(error.label);
      this.#writers.end(error.toMessage());
      this.#readers.end(error.toMessage());
      return;
    }
  }

  /** For how long the open step has been open, compared with what is usual: for the error of a run that ends. */
  pace(): string {
    const seconds = ((this.now() - this.#waitingSince) / 1000).toFixed(1);
    return `step ${this.shard.step} has been open for ${seconds} s, ${usually('a step', this.usualStep)}`;
  }

  #received({ block, codec, payload, checksum }: Parameters<Shard['contribution']>[1]): void {
    // What stays in this process is no traffic.
    if (checksum === undefined) return;
    this.metrics.moved('received', codec, payload.byteLength, this.layout.blocks[block]?.elements ?? 0);
  }

  /** Ranks that are waited for, at the oldest open step, and for how long (ms); nobody waits where there are none. */
  waiting(): { step: number; workers: number[]; waitedMs: number } {
    const { step } = this.shard;
    const waiting = this.#waits;
    if (!waiting)
      return { step, workers: this.shard.waitingFor(), waitedMs: this.now() - this.#waitingSince };
    const waits = [...this.#readers].flatMap(({ rank, fetches }) => waiting.of(rank, fetches[0]) ?? []);
    const workers = [...new Set(waits.flatMap((wait) => wait.workers))].sort((a, b) => a - b);
    return { step, workers, waitedMs: Math.max(0, ...waits.map(({ waitedMs }) => waitedMs)) };
  }

  /** How long (ms) somebody has waited, if for anybody: to find out for whom takes longer. */
  #longestWaitMs(): number {
    const waits = this.#waits;
    if (!waits) return this.now() - this.#waitingSince;
    return Math.max(0, ...[...this.#readers].map(({ rank, fetches }) => waits.waitedMs(rank, fetches[0])));
  }

  /** Whom the open step has waited for longer than is usual; undefined: nobody. */
  late(): LateStep | undefined {
    const { usualStep, usualCopies = usualStep } = this;
    const copies = this.replicating();
    const copiesMs = copies.waitedMs >= usualCopies.deadlineMs ? copies.waitedMs : 0;
    const step = this.#longestWaitMs() >= usualStep.deadlineMs ? this.waiting() : undefined;
    const isStepLate = step !== undefined && step.waitedMs >= usualStep.deadlineMs;
    const late = {
      step: this.shard.step,
      workers: isStepLate ? step.workers : [],
      servers: isStepLate ? this.serversWaitedFor() : [],
      copies: copiesMs > 0 ? copies.servers : [],
    };
    if (late.workers.length + late.servers.length > 0)
      return { ...late, waitedMs: Math.max(step?.waitedMs ?? 0, copiesMs), usual: usualStep };
    return late.copies.length > 0 ? { ...late, waitedMs: copiesMs, usual: usualCopies } : undefined;
  }

  /**
   * Tells every subscriber who waits for whom.
   * @param usual by which it is told, where somebody is late; who has not waited that long is told nothing
   */
  announceWaiting(usual?: Usual): void {
    const all = this.waiting();
    for (const reader of this.#readers) {
      if (!reader.subscribed || reader.unread > 0) continue;
      const wait = this.#waits ? this.#waits.of(reader.rank, reader.fetches[0]) : all;
      if (!wait) continue;
      const { workers, waitedMs } = wait;
      const servers = this.serversWaitedFor();
      const copies = this.replicating();
      const longestMs = Math.max(waitedMs, copies.waitedMs);
      if (usual && longestMs < usual.deadlineMs) continue;
      const waiting = {
        ...{ step: all.step, workers, servers, copies: copies.servers },
        seconds: longestMs / 1000,
        usualSeconds: (usual?.medianMs ?? 0) / 1000,
      };
      this.#readers.tell(reader, { waiting });
    }
  }

  /** Ends all streams; the shard's memory goes with this object. */
  close(): void {
    this.snapshots?.abandon();
    this.#copies?.close();
    this.#agreeOut?.close();
    this.#writers.end();
    this.#readers.end();
  }

  /** Nothing waits for the other copies any more. */
  committed(): void {
    this.#readers.stepped();
  }

  /** The longest that something of a step waited for the copies; undefined where there are none. */
  get usualCopies(): Usual | undefined {
    return this.#copies?.usual;
  }

  /** Servers whose copies of the shard are waited for, and for how long (ms). */
  replicating(): { servers: number[]; waitedMs: number } {
    return this.#copies?.waiting() ?? { servers: [], waitedMs: 0 };
  }

  /** Seconds for which a step waits for each of these, by server. */
  copySeconds(): ReadonlyMap<number, number> {
    return this.#copies?.answerSeconds() ?? new Map();
  }

  #emit(effects: readonly Effect[]): void {
    if (this.#copies) this.#copies.emit(effects);
    else for (const effect of effects) this.carryOut(effect);
  }

  /** What the shard has done may leave. */
  carryOut(effect: Effect): void {
    switch (effect.kind) {
      case 'ack':
        return this.#writers.acknowledge(effect.worker, effect.step, effect.block);
      case 'release':
        return this.#writers.release(effect.worker, effect.bytes);
      case 'updated':
        this.metrics.blockApplied();
        return this.#readers.updated(effect.block, effect.workers);
      case 'applied':
        return this.metrics.blockApplied();
      case 'answer':
        return this.#readers.letGo(effect.worker, effect.block, effect.step);
      case 'outcome':
        this.#outcome = effect.outcome;
        this.metrics.step(this, effect.outcome);
        return this.#readers.outcome(effect.outcome, effect.worker);
      case 'norms':
        return this.#agreeOut?.send({ norms: effect.norms });
      case 'cut':
        return this.#agreeOut?.send({ cut: effect.cut });
      case 'withdrawn':
        if (this.#outcome && this.#outcome.step >= effect.step) this.#outcome = undefined;
        return undefined;
      case 'undone':
        return this.#readers.undone(effect.block);
      case 'view':
        this.#view = this.#nextView as View__Output;
        this.#waits = isClocked(this.spec) ? new ClockedWaits(this.shard, this.now) : undefined;
        if (this.#view.departed) this.metrics.departed(this.#view.departed.putOut);
        this.#readers.changed(effect.number);
        return this.metrics.viewEntered(this);
      case 'closed':
        this.usualStep.observe(this.now() - this.#waitingSince);
        this.#waitingSince = this.now();
        return this.#readers.stepped();
      case 'initialized':
        this.#waitingSince = this.now();
        return this.#readers.stepped();
    }
  }
}
