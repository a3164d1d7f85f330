// summary.json: what a run did, for scripts. The fields are a promise; they change only with a new major version.
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isSystemError, reason, writeFileAtomic } from '../../shared/atomic-file.js';
import { UserError } from '../../shared/errors.js';

export interface Summary {
  /** The run's id. */
  run: string;
  job: string;
  /** What computed: cuda, webgpu, tensorflow, wasm or cpu. */
  backend: string;
  seed: number;
  servers: number;
  workers: number;
  consistency: string;
  codec: string;
  epochs: number;
  /**
   * Of a run that went on from a snapshot, and only there: steps that were done before. `steps`, `samples`, the seconds
   * and the bytes are those of this part of the run.
   */
  resumedFromStep?: number;
  /**
   * Optimizer updates, skipped ones not counted; under ssp and asp each worker's steps are updates of their own,
   * under `local` those of worker 0 count, in rounds that were applied.
   */
  steps: number;
  /** Training samples that contributed, over all workers. */
  samples: number;
  /** With backup workers, and only there: by rank, steps that went on without the worker, whose records were not trained on. */
  lateContributions?: number[];
  /** On the test set with the fp32 masters after the last step; null where the job has no accuracy. */
  accuracy: number | null;
  loss: number;
  /** First to last step, without evaluation. */
  trainSeconds: number;
  /** samples / trainSeconds. */
  samplesPerSecond: number;
  /** Mean seconds of a step in each phase: data, compute, encode, wait, decode, …, under `local` optimizer. */
  phaseSeconds: Record<string, number>;
  /** Encoded payload from workers to servers, first sendings only. */
  bytesPushed: number;
  /** Encoded payload from servers to workers. */
  bytesPulled: number;
  /** Payload that was sent again. */
  bytesRetried: number;
  /** Over all tensors, non-trainable too, as little-endian fp32 in the order of the manifest. */
  weightsSha256: string;
  /** Folder of the saved LayersModel. */
  modelPath: string;
}

/**
 * Writes the summary to each of the files, atomically; folders that are missing are made.
 * @throws RunError or UserError that names the file; Error where a figure is not finite, which JSON would hide as null
 */
export async function writeSummary(summary: Summary, files: readonly string[]): Promise<void> {
  for (const [field, value] of [...Object.entries(summary), ...Object.entries(summary.phaseSeconds)]) {
    if (typeof value === 'number' && !Number.isFinite(value))
      throw new Error(`the summary's ${field} is ${value}`);
  }
  const text = `${JSON.stringify(summary, null, 2)}\n`;
  for (const file of files) {
    try {
      await mkdir(dirname(resolve(file)), { recursive: true });
    } catch (error) {
      if (!isSystemError(error)) throw error;
      throw new UserError(
        `Cannot write the summary to ${file}: ${reason(error)}; give another file with --summary`,
      );
    }
    await writeFileAtomic(resolve(file), [text]);
  }
}
