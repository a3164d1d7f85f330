// Snapshots of one run on one server: takes the keeper's orders, cuts at the step that they name, writes this server's
// part in the background and reports it. A step has begun with its first header: by then its worker has every block
// of the step before, so that with a lossy codec what the workers hold is settled here too.
import { SNAPSHOTS_OPEN_MAX } from '../../shared/limits.js';
import type { SnapshotPart } from '../../shared/rpc/generated/gradloom/v1/SnapshotPart.js';
import { isClocked } from '../../shared/run/spec.js';
import { stepFolder } from '../../shared/snapshot/find.js';
import { PartWriter, writeFailure } from '../../shared/snapshot/part-file.js';
import type { Store } from '../../shared/snapshot/store.js';
import type { ServerMetrics } from '../metrics.js';
import type { Shard } from '../shard.js';
import { Capture } from './capture.js';

export interface RunSnapshotsOptions {
  run: string;
  shard: Shard;
  workers: number;
  /** Of all runs. */
  store: Store;
  /** Of the shard in the placement. */
  index: number;
  metrics: ServerMetrics;
  report(part: SnapshotPart): void;
  /** Monotonic time in milliseconds. */
  now(): number;
}

export class RunSnapshots {
  readonly #options: RunSnapshotsOptions;
  /** Folders of the run by the step at which a cut is ordered. */
  readonly #ordered = new Map<number, string>();
  #capture: Capture | undefined;
  #abandoned = false;

  constructor(options: RunSnapshotsOptions) {
    this.#options = options;
  }

  /** The keeper wants a part of the state after so many steps. */
  order({ step, folder }: { step: number; folder: string }): void {
    const { shard, workers, report } = this.#options;
    if (step < shard.step || (step === shard.step && shard.missingHeaders < workers))
      return report({ step, late: true });
    if (this.#ordered.size >= SNAPSHOTS_OPEN_MAX)
      return report({
        step,
        failure: `expected at most ${SNAPSHOTS_OPEN_MAX} snapshots ordered, got one more`,
      });
    this.#ordered.set(step, folder);
  }

  /** The first header of the open step is about to be taken. */
  stepBegins(): void {
    const { shard, report, now } = this.#options;
    const { step } = shard;
    const folder = this.#ordered.get(step);
    if (folder === undefined) return;
    this.#ordered.delete(step);
    if (isClocked(shard.spec))
      return report({ step, failure: `the run has changed to ${shard.spec.consistency}` });
    if (this.#capture)
      return report({ step, failure: `the snapshot of step ${this.#capture.step} is still being written` });
    this.#capture = new Capture(shard, step);
    const started = now();
    this.#write(this.#capture, folder)
      .then(
        (part) => report({ step, ...part, seconds: (now() - started) / 1000 }),
        (error) => report({ step, failure: writeFailure(error) }),
      )
      .finally(() => {
        this.#capture = undefined;
        this.#options.metrics.snapshotCopies(0);
      });
  }

  /** A block is about to change; undefined: all may. */
  copy(block?: number): void {
    if (!this.#capture) return;
    this.#capture.copy(block);
    this.#options.metrics.snapshotCopies(this.#capture.copiedBytes);
  }

  /** The run has ended: what is half written is removed. */
  abandon(): void {
    this.#abandoned = true;
    this.#ordered.clear();
  }

  async #write(capture: Capture, folder: string) {
    const { run, index, store, metrics } = this.#options;
    const { step } = capture;
    const file = `shard-${index}.safetensors`;
    const own = store.folder(folder).folder(stepFolder(step));
    const writer = await PartWriter.create(own, file, capture.arrays(), { run, step: String(step) });
    try {
      for (let data = capture.take(); data; data = capture.take()) {
        for (const array of data) await writer.append(array);
        metrics.snapshotCopies(capture.copiedBytes);
        if (this.#abandoned) throw new Error('the run has ended');
      }
      const { bytes, headerSha256 } = await writer.finish();
      metrics.snapshotWritten(bytes);
      return { file, bytes, headerSha256: Buffer.from(headerSha256, 'hex') };
    } catch (error) {
      await writer.abandon();
      if (this.#abandoned) return { file, failure: 'the run has ended' };
      throw error;
    }
  }
}
