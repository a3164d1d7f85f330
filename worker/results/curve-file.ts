// The loss curve as CSV, written while the run goes on: one line a step, and one for each evaluation.
// Lines are gathered and appended whole, so that after a crash at most the last moments are missing and the file
// still reads; what waits for the disk is bounded. Readers stream it, whatever its length.
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { unreadable, unwritable } from '../../shared/atomic-file.js';
import { RunError, UserError } from '../../shared/errors.js';
import { CURVE_PENDING_MAX_BYTES } from '../../shared/limits.js';

export interface CurvePoint {
  /** Updates of the model so far, this one counted. */
  readonly step: number;
  /** Pass over the training set, from 1. */
  readonly epoch: number;
  /** A training step, or an evaluation on the test set. */
  readonly split: 'train' | 'test';
  /** Mean over the samples. */
  readonly loss: number;
  /** 0 to 1; undefined where the job has none. */
  readonly accuracy?: number;
  /** Of all workers; undefined for an evaluation. */
  readonly samplesPerSecond?: number;
  /** Since the first step began. */
  readonly seconds: number;
}

const COLUMNS = ['step', 'epoch', 'split', 'loss', 'accuracy', 'samplesPerSecond', 'seconds'] as const;
const HEADER = `${COLUMNS.join(',')}\n`;
/** How long a line may wait before it is appended. */
const FLUSH_MS = 1_000;
/** A gathering of this size is appended at once. */
const FLUSH_BYTES = 16 * 1024;
/** No line that we wrote is longer; a file with longer ones is not ours. */
const LINE_MAX_CHARACTERS = 1_024;

/** Appends points to a CSV file. Close it, or the last second is lost. */
export class CurveFile {
  #pending = '';
  #writing: Promise<void> = Promise.resolve();
  #queuedBytes = 0;
  #failure: unknown;
  #timer: NodeJS.Timeout | undefined;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  /**
   * Opens a file for appending; one that is there goes on after its last whole line.
   * @throws RunError where it cannot be written
   */
  static async open(path: string): Promise<CurveFile> {
    try {
      const handle = await open(path, 'a+');
      try {
        const wholeBytes = await endOfLastLine(handle);
        await handle.truncate(wholeBytes);
        if (wholeBytes === 0) await handle.appendFile(HEADER);
      } catch (error) {
        await handle.close();
        throw error;
      }
      return new CurveFile(path, handle);
    } catch (error) {
      throw unwritable(path, error);
    }
  }

  /**
   * Adds a point; it reaches the file within a second.
   * @throws RunError where the disk failed or does not keep up
   */
  append(point: CurvePoint): void {
    if (this.#failure) throw this.#failure;
    this.#pending += `${COLUMNS.map((column) => cell(point[column])).join(',')}\n`;
    if (this.#pending.length + this.#queuedBytes > CURVE_PENDING_MAX_BYTES) {
      throw new RunError(
        `Cannot write ${this.path}: the disk has not taken ${this.#queuedBytes} bytes; mend it or choose another --out`,
      );
    }
    if (this.#pending.length >= FLUSH_BYTES) void this.#write();
    else this.#timer ??= setTimeout(() => void this.#write(), FLUSH_MS).unref();
  }

  /** Resolves when all points so far are in the file. */
  async flush(): Promise<void> {
    await this.#write();
    if (this.#failure) throw this.#failure;
  }

  /** Flushes to the disk and closes. */
  async close(): Promise<void> {
    try {
      await this.flush();
      await this.handle.sync();
    } catch (error) {
      throw unwritable(this.path, error);
    } finally {
      await this.handle.close();
    }
  }

  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = this.#pending;
    if (text === '') return this.#writing;
    this.#pending = '';
    this.#queuedBytes += text.length;
    this.#writing = this.#writing.then(async () => {
      try {
        if (!this.#failure) await this.handle.appendFile(text);
      } catch (error) {
        this.#failure = unwritable(this.path, error);
      } finally {
        this.#queuedBytes -= text.length;
      }
    });
    return this.#writing;
  }
}

/**
 * The points of a file, in its order, one at a time.
 * @throws UserError that names the file and the line, where it is not what `CurveFile` writes
 */
export async function* readCurve(path: string): AsyncGenerator<CurvePoint> {
  let line = 0;
  try {
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      line++;
      if (line === 1) {
        if (`${text}\n` !== HEADER)
          throw new UserError(`${path}:1: expected the columns ${COLUMNS.join(',')}`);
        continue;
      }
      yield parse(text, `${path}:${line}`);
    }
  } catch (error) {
    throw unreadable(path, error);
  }
}

function parse(text: string, where: string): CurvePoint {
  const cells = text.length > LINE_MAX_CHARACTERS ? [] : text.split(',');
  const [step, epoch, split, loss, accuracy, samplesPerSecond, seconds] = cells;
  const optional = (value: string) => (value === '' ? undefined : Number(value));
  const wrong = cells.some((value, index) => index !== 2 && value !== 'NaN' && Number.isNaN(Number(value)));
  if (cells.length !== COLUMNS.length || wrong || (split !== 'train' && split !== 'test')) {
    throw new UserError(
      `${where}: expected ${COLUMNS.length} cells, numbers but for the split, got "${text.slice(0, 60)}"`,
    );
  }
  return {
    step: Number(step),
    epoch: Number(epoch),
    split,
    loss: Number(loss),
    accuracy: optional(accuracy),
    samplesPerSecond: optional(samplesPerSecond),
    seconds: Number(seconds),
  };
}

/** Six digits are more than a curve shows; steps and epochs are whole and stay so. */
function cell(value: string | number | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'string' || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(6)));
}

/** Bytes up to and with the last line end; looks at the end of the file only. */
async function endOfLastLine(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat();
  const tail = Buffer.alloc(Math.min(size, LINE_MAX_CHARACTERS));
  await handle.read(tail, 0, tail.length, size - tail.length);
  const newline = tail.lastIndexOf(0x0a);
  return newline < 0 ? 0 : size - tail.length + newline + 1;
}
