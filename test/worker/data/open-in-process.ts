// Opens a dataset in a process of its own, for tests with several of them: `node open-in-process.js OPTIONS`,
// with OPTIONS as JSON. Prints one JSON line: what came of it.
import { existsSync, writeFileSync } from 'node:fs';
import { sentence } from '../../../shared/errors.js';
import { type DatasetOptions, openDataset } from '../../../worker/data/dataset.js';
import { holdsCifar } from './samples.js';

export interface ProcessOptions extends Pick<DatasetOptions, 'data' | 'cacheDir' | 'generated'> {
  /** Dies as by kill -9 once that many records are in the cache. */
  dieAtRecords?: number;
  /** Says so by making the first file when it put records into the cache, and goes on when the second is there. */
  meet?: [string, string];
}

export interface ProcessResult {
  error?: string;
  name?: string;
  warm?: boolean;
  hits?: number;
  misses?: number;
  right?: boolean;
  notices: string[];
}

const { dieAtRecords, meet, ...options }: ProcessOptions = JSON.parse(process.argv[2]);
const notices: string[] = [];
const cell = new Int32Array(new SharedArrayBuffer(4));

function onProgress(done: number, _total: number, phase: string): void {
  if (phase !== 'cache') return;
  if (meet) {
    writeFileSync(meet[0], '');
    for (let waitedMs = 0; !existsSync(meet[1]) && waitedMs < 20_000; waitedMs += 5) {
      Atomics.wait(cell, 0, 0, 5);
    }
  }
  if (dieAtRecords !== undefined && done >= dieAtRecords) process.kill(process.pid, 'SIGKILL');
}

const result: ProcessResult = { notices };
try {
  const dataset = await openDataset({ ...options, onProgress, onNotice: (notice) => notices.push(notice) });
  const { warm, hits, misses } = dataset.cache;
  const right = options.data === undefined || holdsCifar(dataset);
  Object.assign(result, { name: dataset.name, warm, hits, misses, right });
  await dataset.close();
} catch (error) {
  const { name } = error as Error;
  Object.assign(result, { name, error: sentence(error) });
}
process.stdout.write(`${JSON.stringify(result)}\n`);
