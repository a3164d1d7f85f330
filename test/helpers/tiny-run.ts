// What tests with real processes share: small data, a cache and a results folder of the test's own, and the flags
// that say so.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Summary } from '../../worker/results/summary.js';
import { temporaryFolder } from './folder.js';
import { helperPath } from './processes.js';
import { writeTinyData } from './tiny-data.js';

export type JobName = 'small' | 'slow' | 'not-finite' | 'shared-frozen' | 'other-small' | 'large' | 'wide';

/** Path of a compiled job of the tests. */
export const jobPath = (name: JobName): string => helperPath(`jobs/${name}.js`);

export interface TinyRun {
  readonly folder: string;
  readonly data: string;
  /** File of the summary. */
  readonly summary: string;
  /** Flags of `up` or a worker: job, data, cache, out, backend, JSON lines. */
  readonly flags: readonly string[];
  readSummary(): Promise<Summary>;
}

/** Data of 256 and 64 records, and flags for a run on it. */
export async function tinyRun(t: ExecutionContext, job: JobName = 'small'): Promise<TinyRun> {
  const folder = await temporaryFolder(t);
  const { folder: data } = await writeTinyData(folder);
  const summary = join(folder, 'summary.json');
  return {
    folder,
    data,
    summary,
    flags: [
      `--job=${jobPath(job)}`,
      `--data=${data}`,
      `--cache=${join(folder, 'cache')}`,
      `--out=${join(folder, 'runs')}`,
      `--summary=${summary}`,
      '--backend=wasm',
      '--json',
    ],
    readSummary: async () => JSON.parse(await readFile(summary, 'utf8')) as Summary,
  };
}
