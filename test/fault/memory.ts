// Memory of processes over time: what each has resident at the beginning, at most and at the end (Linux; elsewhere
// nothing is known, and nothing is said).
import { readFileSync } from 'node:fs';
import { medianOf } from '../bench/result.js';

const SAMPLE_MS = 500;
const MiB = 2 ** 20;
/** The beginning of a process, when it loads, compiles and allocates, is no growth. */
const WARM_UP_SHARE = 0.25;
/** Processes that live shorter than this are not judged: a garbage collector has not come round. */
const JUDGED_MIN_SECONDS = 60;
/** What the end may be above the beginning. */
const GROWTH_MAX = 1.25;
const GROWTH_ALWAYS_MIB = 32;

export interface ProcessMemory {
  process: string;
  seconds: number;
  /** Medians of the quarter after the warm-up and of the last one. */
  beginMiB: number;
  endMiB: number;
  maxMiB: number;
}

/** Resident bytes of a process; undefined where it has gone, or there is no /proc. */
function residentBytes(pid: number): number | undefined {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kibibytes === undefined ? undefined : 1024 * Number(kibibytes);
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return undefined;
  }
}

export class MemoryWatch {
  readonly #samples = new Map<string, { pid: number; bytes: number[] }>();
  readonly #timer = setInterval(() => this.#sample(), SAMPLE_MS).unref();

  /** Watches a process under a name that is its own. */
  add(name: string, pid: number): void {
    this.#samples.set(name, { pid, bytes: [] });
  }

  /** Ends the watch: what was seen of the processes that lived long enough to be seen. */
  close(): ProcessMemory[] {
    clearInterval(this.#timer);
    return [...this.#samples].flatMap(([process, { bytes }]) =>
      bytes.length === 0 ? [] : [memoryOf(process, bytes, SAMPLE_MS)],
    );
  }

  #sample(): void {
    for (const { pid, bytes } of this.#samples.values()) {
      const resident = residentBytes(pid);
      if (resident !== undefined) bytes.push(resident);
    }
  }
}

/** The figures of one process from samples at even distances. */
export function memoryOf(process: string, bytes: readonly number[], everyMs: number): ProcessMemory {
  const quarter = Math.max(1, Math.floor(WARM_UP_SHARE * bytes.length));
  const after = bytes.length > 2 * quarter ? quarter : 0;
  const rounded = (value: number) => Math.round((10 * value) / MiB) / 10;
  return {
    process,
    seconds: (bytes.length * everyMs) / 1000,
    beginMiB: rounded(medianOf(bytes.slice(after, after + quarter))),
    endMiB: rounded(medianOf(bytes.slice(-quarter))),
    maxMiB: rounded(Math.max(...bytes)),
  };
}

/** A sentence where the memory of a process has grown; undefined where it is flat, or was seen too short to say. */
export function growthOf({ process, seconds, beginMiB, endMiB }: ProcessMemory): string | undefined {
  const allowedMiB = Math.max(GROWTH_MAX * beginMiB, beginMiB + GROWTH_ALWAYS_MIB);
  if (seconds < JUDGED_MIN_SECONDS || endMiB <= allowedMiB) return undefined;
  return `the memory of ${process} grew from ${beginMiB} to ${endMiB} MiB in ${Math.round(seconds)} s, expected at most ${Math.round(allowedMiB)}`;
}
