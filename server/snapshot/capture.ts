// The state of a shard between two steps, taken while training goes on: copy-on-write. At the cut all blocks are marked;
// each is copied when its turn to be written has come, or before that when it is about to change. So at most one copy
// of the shard's state is held, and no step waits for the disk.
import type { PartArray } from '../../shared/snapshot/part-file.js';
import type { Shard } from '../shard.js';

interface Copied {
  readonly block: number;
  readonly data: Uint8Array[];
}

export class Capture {
  readonly #shard: Shard;
  /** Blocks that have not been written, in canonical order; undefined: not copied yet. */
  readonly #blocks: Map<number, Copied | undefined>;
  /** Blocks that are still as they were at the cut. */
  readonly #marked: Set<number>;
  /** Bytes of copies that wait to be written. */
  copiedBytes = 0;

  /** @param step that is open; nothing of it has been applied */
  constructor(
    shard: Shard,
    readonly step: number,
  ) {
    this.#shard = shard;
    const blocks = [...shard.blockIndices].sort((a, b) => a - b);
    this.#blocks = new Map(blocks.map((block) => [block, undefined]));
    this.#marked = new Set(blocks);
  }

  /** The arrays of the part, in the order in which `take` gives them. */
  arrays(): PartArray[] {
    return [...this.#blocks.keys()].flatMap((block) => [
      { name: `${block}.version`, dtype: 'I64' as const, shape: [1] },
      ...[...this.#shard.stateOf(block).arrays].map(([name, { length }]) => ({
        name: `${block}.${name}`,
        dtype: 'F32' as const,
        shape: [length],
      })),
    ]);
  }

  /** A block is about to change; undefined: all may. */
  copy(block?: number): void {
    for (const each of block === undefined ? [...this.#marked] : [block]) {
      if (!this.#marked.delete(each)) continue;
      const copied = this.#copyOf(each);
      this.#blocks.set(each, copied);
      this.copiedBytes += bytesOf(copied);
    }
  }

  /** The next block's arrays as they were at the cut; undefined when all have been taken. */
  take(): Uint8Array[] | undefined {
    const next = this.#blocks.entries().next();
    if (next.done) return undefined;
    const [block, copied] = next.value;
    this.#blocks.delete(block);
    if (copied) {
      this.copiedBytes -= bytesOf(copied);
      return copied.data;
    }
    this.#marked.delete(block);
    return this.#copyOf(block).data;
  }

  #copyOf(block: number): Copied {
    const { version, arrays } = this.#shard.stateOf(block);
    const data = [new Uint8Array(BigInt64Array.of(BigInt(version)).buffer)];
    for (const array of arrays.values()) {
      const copy = new Float32Array(array.length);
      copy.set(array);
      data.push(new Uint8Array(copy.buffer));
    }
    return { block, data };
  }
}

const bytesOf = ({ data }: Copied): number => data.reduce((sum, { byteLength }) => sum + byteLength, 0);
