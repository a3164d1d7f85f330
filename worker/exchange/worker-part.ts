// A worker's part of snapshots: with a lossy codec, what its contributions have left out. Copied before the step of the
// cut is sent, written while training goes on. A run that goes on with as many workers gives each its own back; with
// another number all get the mean, so that the mean over all workers is what it was.
import { SNAPSHOTS_OPEN_MAX } from '../../shared/limits.js';
import type { SnapshotPart } from '../../shared/rpc/generated/gradloom/v1/SnapshotPart.js';
import { stepFolder } from '../../shared/snapshot/find.js';
import type { Snapshot } from '../../shared/snapshot/manifest.js';
import { PartReader, PartWriter, writeFailure } from '../../shared/snapshot/part-file.js';
import type { Store } from '../../shared/snapshot/store.js';

/** Arrays by the names that a part has for them. */
type Arrays = ReadonlyMap<string, Float32Array>;

export interface WorkerPartsOptions {
  run: string;
  rank: number;
  /** Of the snapshots of all runs. */
  store: Store;
  report(part: SnapshotPart): void;
  onWritten(bytes: number): void;
  /** Monotonic time in milliseconds. */
  now(): number;
}

export class WorkerParts {
  readonly #options: WorkerPartsOptions;
  readonly #ordered = new Map<number, string>();
  #writing = false;

  constructor(options: WorkerPartsOptions) {
    this.#options = options;
  }

  /** @param next the first step that this worker has not begun to send */
  order({ step, folder }: { step: number; folder: string }, next: number): void {
    const { report } = this.#options;
    if (step < next) return report({ step, late: true });
    if (this.#ordered.size >= SNAPSHOTS_OPEN_MAX)
      return report({
        step,
        failure: `expected at most ${SNAPSHOTS_OPEN_MAX} snapshots ordered, got one more`,
      });
    this.#ordered.set(step, folder);
  }

  /** A step is about to be sent. */
  stepBegins(step: number, arrays: () => Arrays): void {
    const folder = this.#ordered.get(step);
    if (folder === undefined) return;
    const { report, now } = this.#options;
    this.#ordered.delete(step);
    if (this.#writing) return report({ step, failure: 'the snapshot before is still being written' });
    this.#writing = true;
    const started = now();
    this.#write(step, folder, arrays())
      .then(
        (part) => report({ step, ...part, seconds: (now() - started) / 1000 }),
        (error) => report({ step, failure: writeFailure(error) }),
      )
      .finally(() => {
        this.#writing = false;
      });
  }

  async #write(step: number, folder: string, arrays: Arrays) {
    const { run, rank, store, onWritten } = this.#options;
    const copies = [...arrays].map(([name, array]) => {
      const copy = new Float32Array(array.length);
      copy.set(array);
      return { name, dtype: 'F32' as const, shape: [array.length], data: new Uint8Array(copy.buffer) };
    });
    const file = `worker-${rank}.safetensors`;
    const own = store.folder(folder).folder(stepFolder(step));
    const writer = await PartWriter.create(own, file, copies, { run, step: String(step) });
    try {
      for (const { data } of copies) await writer.append(data);
      const { bytes, headerSha256 } = await writer.finish();
      onWritten(bytes);
      return { file, bytes, headerSha256: Buffer.from(headerSha256, 'hex') };
    } catch (error) {
      await writer.abandon();
      throw error;
    }
  }
}

/**
 * Fills a worker's residuals from a snapshot; where it holds none, they stay zero.
 * @throws UserError that names the file which cannot be trusted
 */
export async function restoreResiduals(
  { store, manifest }: Snapshot,
  rank: number,
  workers: number,
  arrays: Arrays,
): Promise<void> {
  const all = manifest.parts
    .filter(({ worker }) => worker !== undefined)
    .sort((a, b) => (a.worker as number) - (b.worker as number));
  const parts = all.length === workers ? all.filter(({ worker }) => worker === rank) : all;
  const sums = new Map([...arrays].map(([name, { length }]) => [name, new Float64Array(length)]));
  for (const part of parts) {
    const reader = await PartReader.open(store, part.file, part);
    try {
      for (const [name, sum] of sums) {
        const bytes = await reader.read(name, { dtype: 'F32', shape: [sum.length] });
        const values = new Float32Array(bytes.buffer);
        for (let i = 0; i < sum.length; i++) sum[i] += values[i];
      }
    } finally {
      await reader.close();
    }
  }
  if (parts.length === 0) return;
  for (const [name, target] of arrays) {
    const sum = sums.get(name) as Float64Array;
    for (let i = 0; i < sum.length; i++) target[i] = sum[i] / parts.length;
  }
}
