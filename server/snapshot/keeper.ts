// The keeper's shell around the plans of snapshots: it has the clock and the store. Orders cuts, takes in the parts, and
// when all are there writes the manifest, which makes a snapshot whole, and removes those that are too old.
import { basename } from 'node:path';
import { schemaHash } from '../../shared/blocks/manifest.js';
import { version } from '../../shared/config/version.js';
import { isExpected, RunError, sentence } from '../../shared/errors.js';
import { SNAPSHOT_TICK_MS } from '../../shared/limits.js';
import type { SnapshotPart__Output } from '../../shared/rpc/generated/gradloom/v1/SnapshotPart.js';
import { codecsOf } from '../../shared/run/block-codecs.js';
import { describeSpec } from '../../shared/run/difference.js';
import { isClocked, layoutOf } from '../../shared/run/spec.js';
import { snapshotFolders, stepFolder } from '../../shared/snapshot/find.js';
import { MANIFEST_FILE, SNAPSHOT_FORMAT, writeManifest } from '../../shared/snapshot/manifest.js';
import type { Store } from '../../shared/snapshot/store.js';
import type { Coordinator, Order, Run } from '../coordinator.js';
import { type Holder, type Outcome, type Part, SnapshotPlan } from './plan.js';

/** What is said of a snapshot: it is whole, or why there is none. */
export interface SnapshotEvent {
  event: 'snapshot';
  run: string;
  step: number;
  /** Where it is whole. */
  path?: string;
  bytes?: number;
  /** From the cut to the manifest. */
  seconds?: number;
  failure?: string;
}

export interface SnapshotKeeperOptions {
  coordinator: Coordinator;
  /** Of all runs; undefined: the keeper was given none. */
  store: Store | undefined;
  dispatch(orders: readonly Order[]): void;
  /** The step that is open on the keeper's own shard of a run. */
  stepOf(run: string): number;
  onSnapshot(event: SnapshotEvent): void;
  log(message: string): void;
  /** Monotonic time in milliseconds. */
  now(): number;
}

interface Kept {
  readonly run: Run;
  readonly plan: SnapshotPlan;
  /** Name of the run's folder. */
  readonly folder: string;
  readonly store: Store;
  /** Since when the clock of the cadence runs. */
  since: number;
  /** Primaries of the shards when a cut was ordered, by step: whoever has taken over since knows nothing of it. */
  readonly ordered: Map<number, readonly number[]>;
  /** Seconds that the slowest part took, by step. */
  readonly seconds: Map<number, number>;
  /** The newest whole one. */
  last?: { step: number; path: string };
}

export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions;
  readonly #runs = new Map<string, Kept>();
  /** Runs whose folder was made, or could not be. */
  readonly #begun = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), SNAPSHOT_TICK_MS).unref();
  }

  /** A run has begun, perhaps: orders the first snapshot where it wants any. */
  async begin(id: string): Promise<void> {
    const { coordinator, store: parent, now } = this.#options;
    const run = coordinator.runs.get(id);
    if (run?.state !== 'running' || !run.spec.snapshots || parent === undefined || this.#begun.has(id))
      return;
    this.#begun.add(id);
    let folder: string;
    try {
      folder = await parent.newFolder(id, new Date());
    } catch (error) {
      if (!isExpected(error)) throw error;
      return this.#say({ run: id, step: 0, failure: sentence(error) });
    }
    const { snapshots, epochs, stepsPerEpoch } = run.spec;
    const kept: Kept = {
      run,
      plan: new SnapshotPlan(snapshots.everySteps, epochs * stepsPerEpoch),
      folder,
      store: parent.folder(folder),
      since: now(),
      seconds: new Map(),
      ordered: new Map(),
    };
    this.#runs.set(id, kept);
    this.#send(kept, kept.plan.next(this.#options.stepOf(id), holdersOf(run)));
  }

  /** Somebody asks for a snapshot of every run, now. Returns of how many. */
  ask(): number {
    for (const kept of this.#runs.values()) this.#ask(kept);
    return this.#runs.size;
  }

  /** A server or a worker reports its part. */
  part(holder: Holder, id: string, part: SnapshotPart__Output): void {
    const kept = this.#runs.get(id);
    if (!kept) return;
    const { step, late, failure, file, bytes } = part;
    kept.seconds.set(step, Math.max(kept.seconds.get(step) ?? 0, part.seconds));
    const outcome = kept.plan.report(
      step,
      holder,
      late
        ? { late }
        : failure
          ? { failure }
          : { file, bytes, headerSha256: part.headerSha256.toString('hex') },
    );
    if (outcome) void this.#settle(kept, outcome);
  }

  /** The run that a worker's connection takes part in. */
  runOfWorker(connection: number): string {
    for (const [id, { run }] of this.#runs)
      if (run.workers.some((worker) => worker.connection === connection)) return id;
    return '';
  }

  lastOf(id: string): { step: number; path: string } | undefined {
    return this.#runs.get(id)?.last;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#runs.clear();
  }

  #tick(): void {
    const { coordinator, now } = this.#options;
    for (const id of this.#begun) if (!coordinator.runs.has(id)) this.#begun.delete(id);
    // Those of a keeper before, once everybody is back.
    if (!coordinator.isRecovering) for (const id of coordinator.runs.keys()) void this.begin(id);
    for (const [id, kept] of this.#runs) {
      if (!coordinator.runs.has(id)) {
        this.#runs.delete(id);
        continue;
      }
      const cut = !isClocked(kept.run.spec);
      const here = new Set(cut ? holdersOf(kept.run) : []);
      const why = cut ? 'it has left' : `the run has changed to ${kept.run.spec.consistency}`;
      const primaries = primariesOf(kept.run);
      const isTaken = (step: number, holder: Holder) =>
        primaries.some((id, shard) => holder === `shard ${shard}` && id !== kept.ordered.get(step)?.[shard]);
      for (const step of kept.plan.open)
        for (const holder of kept.plan.missing(step))
          if (!here.has(holder) || isTaken(step, holder))
            for (const outcome of kept.plan.lost(holder, why)) void this.#settle(kept, outcome);
      if (!cut) continue;
      const { everySeconds = 0 } = kept.run.spec.snapshots ?? {};
      if (everySeconds > 0 && now() - kept.since >= 1000 * everySeconds) this.#ask(kept);
      this.#next(kept);
    }
  }

  #ask(kept: Kept): void {
    kept.since = this.#options.now();
    if (isClocked(kept.run.spec)) return;
    this.#send(kept, kept.plan.ask(this.#options.stepOf(kept.run.id), holdersOf(kept.run)));
  }

  #next(kept: Kept): void {
    this.#send(kept, kept.plan.next(this.#options.stepOf(kept.run.id), holdersOf(kept.run)));
  }

  #send({ run, folder, ordered }: Kept, step: number | undefined): void {
    if (step === undefined) return;
    const snapshot = { run: run.id, step, folder };
    ordered.set(step, primariesOf(run));
    const workers = isLossy(run) ? run.workers : [];
    this.#options.dispatch([
      ...run.servers.map(({ connection }): Order => ({ to: 'server', connection, order: { snapshot } })),
      ...workers.map(({ connection }): Order => ({ to: 'worker', connection, order: { snapshot } })),
    ]);
  }

  async #settle(kept: Kept, outcome: Outcome): Promise<void> {
    const { run, store } = kept;
    const { step } = outcome;
    const wasAsked = step % (run.spec.snapshots?.everySteps || Number.POSITIVE_INFINITY) !== 0;
    try {
      if (outcome.kind === 'whole') await this.#finish(kept, step, outcome.parts);
      else if (outcome.kind === 'failed') this.#say({ run: run.id, step, failure: outcome.reason });
    } catch (error) {
      if (!isExpected(error)) throw error;
      this.#say({ run: run.id, step, failure: sentence(error) });
    }
    await this.#tidy(run, () =>
      outcome.kind === 'whole'
        ? this.#prune(kept, step)
        : store.folder(stepFolder(step)).remove(MANIFEST_FILE),
    );
    if (outcome.kind === 'late' && wasAsked) return this.#ask(kept);
    kept.seconds.delete(step);
    kept.ordered.delete(step);
    if (this.#runs.has(run.id) && !isClocked(run.spec)) this.#next(kept);
  }

  async #finish(kept: Kept, step: number, parts: ReadonlyMap<Holder, Part>): Promise<void> {
    const started = this.#options.now();
    const { run, store } = kept;
    const { spec, view } = run;
    const own = store.folder(stepFolder(step));
    const described = Object.entries(describeSpec(spec)).filter(
      (entry): entry is [string, string | number] => entry[1] !== undefined,
    );
    const shards = primariesOf(run).map((_, shard) => ({ server: shard, part: parts.get(`shard ${shard}`) }));
    const workers = run.workers.map(({ connection, rank }) => ({
      worker: rank,
      part: parts.get(`worker ${connection}`),
    }));
    const servers = primariesOf(run).map((primary, id) => ({
      id,
      address: run.servers.find((server) => server.id === primary)?.address ?? '',
    }));
    const labels = run.workers.map(({ label }) => label);
    // Whoever comes or goes while the store is asked changes nothing of the cut.
    for (const [holder, { file, bytes }] of parts) {
      const found = await own.bytesOf(file);
      if (found !== bytes)
        throw new RunError(
          `the part of ${holder} is not in ${own.path}: expected ${file} of ${bytes} bytes, got ${found ?? 'none'}; give all nodes the same --snapshots`,
        );
    }
    const snapshot = await writeManifest(own, {
      format: SNAPSHOT_FORMAT,
      gradloom: version(),
      run: run.id,
      step,
      epoch: spec.stepsPerEpoch > 0 ? Math.floor(step / spec.stepsPerEpoch) + 1 : 0,
      writtenAt: new Date().toISOString(),
      schemaHash: schemaHash(spec.tensors).toString('hex'),
      tensors: spec.tensors.map(({ name, shape, kind }) => ({ name, shape: [...shape], kind })),
      spec: Object.fromEntries(described),
      view: view?.number ?? 0,
      servers,
      workers: labels,
      placement: [...(view?.placement ?? [])],
      parts: [...shards, ...workers].flatMap(({ part, ...whose }) => (part ? [{ ...part, ...whose }] : [])),
    });
    kept.last = { step, path: own.path };
    this.#say({
      run: run.id,
      step,
      path: own.path,
      bytes: snapshot.manifest.parts.reduce((sum, { bytes }) => sum + bytes, 0),
      seconds: (kept.seconds.get(step) ?? 0) + (this.#options.now() - started) / 1000,
    });
  }

  /** Removes whole snapshots beyond those that are kept, and what was torn before the newest. */
  async #prune({ store, run, plan }: Kept, newest: number): Promise<void> {
    const open = new Set(plan.open.map(stepFolder));
    const stepOf = ({ path }: Store) => Number(basename(path).slice(stepFolder(0).length - 1));
    const older = (await snapshotFolders(store))
      .filter((folder) => stepOf(folder) <= newest && !open.has(basename(folder.path)))
      .sort((a, b) => stepOf(b) - stepOf(a));
    let whole = 0;
    for (const folder of older) {
      const isWhole = (await folder.bytesOf(MANIFEST_FILE)) !== undefined;
      if (isWhole && ++whole <= (run.spec.snapshots?.keep ?? 1)) continue;
      // Without its manifest it is none, however far the removal comes.
      await folder.remove(MANIFEST_FILE);
    }
  }

  /** Removes something; what stays makes no snapshot worse, and goes with the next that is whole. */
  async #tidy({ id }: Run, remove: () => Promise<void>): Promise<void> {
    try {
      await remove();
    } catch (error) {
      if (!isExpected(error)) throw error;
      this.#options.log(`run ${id}: older snapshots, or a torn one, are still there: ${sentence(error)}`);
    }
  }

  #say(event: Omit<SnapshotEvent, 'event'>): void {
    this.#options.onSnapshot({ event: 'snapshot', ...event });
  }
}

const primariesOf = ({ view }: Run): number[] => (view?.shards ?? []).map(({ primary }) => primary);

const isLossy = ({ spec }: Run): boolean =>
  codecsOf(spec, layoutOf(spec).blocks).some((codec) => codec.lossy);

/** Each shard has a part; so has each worker, where a lossy codec leaves it residuals. */
function holdersOf(run: Run): Holder[] {
  return [
    ...primariesOf(run).map((_, shard): Holder => `shard ${shard}`),
    ...(isLossy(run) ? run.workers.map(({ connection }): Holder => `worker ${connection}`) : []),
  ];
}
