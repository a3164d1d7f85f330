// Hands out ranges of the kernels' memory, one after the other, for as long as the memory lives. What a shard
// needs is known when it starts, so nothing is ever given back; a range that doesn't fit is refused with what
// was needed and what was left.
import { RunError } from '../errors.js';
import type { Kernels } from './kernels.js';

/** A cache line, so that no two ranges of different threads share one. */
const ALIGNMENT_BYTES = 64;

export class Arena {
  readonly #end: number;
  #next: number;

  /** @param range addresses in the kernels' memory: by default all that is the caller's */
  constructor(kernels: Kernels, range: { start?: number; end?: number } = {}) {
    this.#next = range.start ?? kernels.firstFreeByte;
    this.#end = range.end ?? kernels.memory.buffer.byteLength;
  }

  /** Bytes that are left, before alignment. */
  get availableBytes(): number {
    return this.#end - this.#next;
  }

  /**
   * The address of `bytes` bytes, a multiple of `align` (a power of two).
   * @throws RunError if they don't fit; nothing is taken then
   */
  alloc(bytes: number, align: number = ALIGNMENT_BYTES): number {
    const start = Math.ceil(this.#next / align) * align;
    if (!(bytes >= 0) || start + bytes > this.#end) {
      throw new RunError(
        `${bytes} bytes are needed in the kernels' memory, ${Math.max(0, this.#end - start)} are left; use more servers.`,
      );
    }
    this.#next = start + bytes;
    return start;
  }
}
